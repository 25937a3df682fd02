/*
 * Tokens of SQL and the expressions of a map (sitemap.h).
 *
 * An expression ends up in a trigger on the site's table, so nothing is let into it that
 * could make the site's own statement fail: no query, no function that raises errors, no
 * JSON, no function of anybody's own.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "sitemap_impl.h"

#define COUNT(a)	((int)(sizeof(a) / sizeof((a)[0])))

/* --- tokens --- */

static int
is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (c & 0x80) != 0;
}

/* The end of what is quoted by q, doubled q within; NULL: it does not end. */
static const char *
skip_quoted(const char *p, char q)
{
	for (p++; *p != '\0'; p++) {
		if (*p != q)
			continue;
		if (p[1] != q)
			return p + 1;
		p++;
	}
	return NULL;
}

int
map_lex_next(struct map_lex *lex)
{
	const char *p = lex->p;

	lex->tok = p;
	if (*p == '\0') {
		lex->kind = LEX_END;
	} else if (isspace((unsigned char)*p)) {
		lex->kind = LEX_SPACE;
		while (isspace((unsigned char)*p))
			p++;
	} else if (p[0] == '-' && p[1] == '-') {
		lex->kind = LEX_SPACE;
		p += strcspn(p, "\n");
	} else if (*p == '\'' || *p == '"') {
		lex->kind = *p == '"' ? LEX_QUOTED : LEX_STRING;
		p = skip_quoted(p, *p);
		if (p == NULL) {
			lex->kind = LEX_BAD;
			p = lex->tok + strlen(lex->tok);
		}
	} else if (isdigit((unsigned char)*p)) {
		lex->kind = LEX_NUMBER;
		while (is_name_char(*p) || *p == '.')
			p++;
	} else if (is_name_char(*p)) {
		lex->kind = LEX_NAME;
		while (is_name_char(*p))
			p++;
	} else {
		lex->kind = LEX_SIGN;
		p++;
	}
	lex->len = (size_t)(p - lex->tok);
	lex->p = p;
	return (int)lex->kind;
}

int
map_lex_is(const struct map_lex *lex, const char *word)
{
	return strlen(word) == lex->len &&
	    strncasecmp(lex->tok, word, lex->len) == 0;
}

int
map_lex_is_one_of(const struct map_lex *lex, const char *const *list, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (map_lex_is(lex, list[i]))
			return 1;
	return 0;
}

/* --- expressions --- */

void
map_print_name(const char *name, struct buf *ret)
{
	buf_addc(ret, '"');
	for (; *name != '\0'; name++) {
		if (*name == '"')
			buf_addc(ret, '"');
		buf_addc(ret, *name);
	}
	buf_addc(ret, '"');
}

void
map_print_string(const char *text, struct buf *ret)
{
	buf_addc(ret, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			buf_addc(ret, '\'');
		buf_addc(ret, *text);
	}
	buf_addc(ret, '\'');
}

/* Words that are no columns, and the functions that never raise an error. */
static const char *const words[] = {
	"AND", "OR", "NOT", "IS", "NULL", "IN", "CASE", "WHEN", "THEN", "ELSE", "END",
	"BETWEEN", "CAST", "AS", "COLLATE", "TRUE", "FALSE", "DISTINCT", "FROM",
	"ISNULL", "NOTNULL"
};
/* Words of CAST and COLLATE: a column of such a name is quoted in an expression. */
static const char *const types[] = {
	"TEXT", "INTEGER", "REAL", "NUMERIC", "NOCASE", "BINARY", "RTRIM"
};
static const char *const functions[] = {
	"coalesce", "ifnull", "nullif", "iif", "lower", "upper", "trim", "ltrim",
	"rtrim", "length", "substr", "instr", "hex", "typeof", "min", "max", "round",
	"date", "time", "datetime", "julianday", "strftime", "unixepoch",
	/* these words may stand before a parenthesis */
	"AND", "OR", "NOT", "IN", "CASE", "WHEN", "THEN", "ELSE", "BETWEEN", "CAST",
	"IS", "DISTINCT", "FROM", "AS"
};
static const char *const queries[] = {
	"SELECT", "VALUES", "WITH", "EXISTS", "RAISE", "LIKE", "GLOB", "MATCH", "REGEXP",
	"OVER", "FILTER"
};

static void
print_token(const struct map_lex *lex, const char *prefix, struct buf *ret)
{
	if (*prefix != '\0')
		buf_addf(ret, "%s.", prefix);
	if (lex->kind == LEX_QUOTED) {
		buf_add(ret, lex->tok, lex->len);
		return;
	}
	buf_addc(ret, '"');
	buf_add(ret, lex->tok, lex->len);
	buf_addc(ret, '"');
}

/* What is wrong with a sign, NULL: nothing. */
static const char *
sign_fault(const struct map_lex *lex)
{
	if (strchr("()+-*/%|<>=!,&~", *lex->tok) == NULL)
		return "this has no place in an expression";
	if (lex->tok[0] == '-' && lex->tok[1] == '>')
		return "JSON has no place in a trigger";
	if (lex->tok[0] == '/' && lex->tok[1] == '*')
		return "this has no place in an expression";
	return NULL;
}

const char *
map_name_fault(const struct map_lex *lex, int *ret_is_column)
{
	const char *p = lex->p + strspn(lex->p, " \t");

	*ret_is_column = 0;
	if (map_lex_is_one_of(lex, queries, COUNT(queries)))
		return "this has no place in an expression";
	if (*p == '(')
		return map_lex_is_one_of(lex, functions, COUNT(functions)) ? NULL :
		    "not one of the functions that cannot fail";
	*ret_is_column = !map_lex_is_one_of(lex, words, COUNT(words)) &&
	    !map_lex_is_one_of(lex, types, COUNT(types));
	return NULL;
}

void
map_print_expr(const char *expr, const char *prefix, struct buf *ret,
    const char **ret_why, const char **ret_at)
{
	struct map_lex lex = { .p = expr };
	const char *why;
	int is_column, depth = 0;

	while (map_lex_next(&lex) != LEX_END) {
		why = NULL;
		is_column = lex.kind == LEX_QUOTED;
		if (lex.kind == LEX_NAME)
			why = map_name_fault(&lex, &is_column);
		else if (lex.kind == LEX_SIGN)
			why = sign_fault(&lex);
		else if (lex.kind == LEX_BAD)
			why = "a quote does not end";
		else if (lex.kind == LEX_SPACE && lex.tok[0] == '-')
			why = "no comment here";
		if (lex.kind == LEX_SIGN && lex.tok[0] == '(')
			depth++;
		if (lex.kind == LEX_SIGN && lex.tok[0] == ')' && --depth < 0)
			why = "a parenthesis too many";
		if (why != NULL && ret_why != NULL) {
			*ret_why = why;
			*ret_at = lex.tok;
			return;
		}
		if (is_column)
			print_token(&lex, prefix, ret);
		else
			buf_add(ret, lex.tok, lex.len);
	}
	if (depth > 0 && ret_why != NULL) {
		*ret_why = "a parenthesis is missing";
		*ret_at = expr;
	}
}

char *
map_only_name(const char *text, size_t len)
{
	struct map_lex lex = { .p = text };
	char *name;
	size_t i, n = 0;

	(void)map_lex_next(&lex);
	if (lex.len != len || (lex.kind != LEX_NAME && lex.kind != LEX_QUOTED) ||
	    (lex.kind == LEX_NAME && map_lex_is_one_of(&lex, words, COUNT(words))))
		return NULL;
	name = calloc(1, len + 1);
	if (name == NULL)
		return NULL;
	for (i = 0; i < len; i++) {
		if (lex.kind == LEX_QUOTED && text[i] == '"') {
			if (i == 0 || i == len - 1)
				continue;
			i++;	/* doubled */
		}
		name[n++] = text[i];
	}
	return name;
}
