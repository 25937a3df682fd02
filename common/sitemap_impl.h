/*
 * sitemap_impl - what sitemap.c (reading), sitemap_expr.c (expressions) and sitemap_sql.c
 * (writing) share; included by them alone.
 */
#ifndef SITEMAP_IMPL_H
#define SITEMAP_IMPL_H

#include "sitemap.h"

enum map_table {
	MAP_USERS, MAP_ROOMS, MAP_MESSAGES, MAP_MEMBERS, MAP_RELATIONS, MAP_TABLES
};

/* A column that the programs know. */
struct map_column {
	enum map_table	 table;
	const char	*name;
	enum {
		MAP_KEY,	/* needed, and a column of the site */
		MAP_NEEDED,	/* needed; an expression will do */
		MAP_PLAIN,	/* a column of the site, if at all */
		MAP_FREE	/* an expression, if at all */
	}		 kind;
	const char	*absent;	/* SQL of what is read where there is none */
	const char	*insert;	/* SQL of what is written */
};

#define MAP_COLUMNS	24

struct map_value {
	char	*text;		/* SQL as in the map; NULL: absent */
	char	*column;	/* the site's column; NULL: an expression */
	enum { MAP_AS_IS, MAP_UNIX, MAP_UNIX_MS } unit;
};

/* A constant, or an expression of what is inserted, for a column that we know nothing of. */
struct map_insert {
	enum map_table	 table;
	char		*column, *text;
};

struct map_event {
	char	*type, *table;
	char	*id, *user, *room;	/* columns; of the last two one, or none: everyone */
	char	*when;			/* SQL; NULL */
	int	 is_update, is_everyone, line;
	int	 n_payload;
	char	*payload[SITEMAP_MAX_PAYLOAD], *key[SITEMAP_MAX_PAYLOAD];
};

struct sitemap {
	char			*text;
	char			*table[MAP_TABLES];
	struct map_value	 value[MAP_COLUMNS];
	struct map_insert	 insert[SITEMAP_MAX_INSERTS];
	int			 n_inserts;
	struct map_event	 event[SITEMAP_MAX_EVENTS];
	int			 n_events;
	char			*room;		/* the one room of a site without rooms */
	int			 owns_members;
};

extern const char *const map_tables[MAP_TABLES];
extern const struct map_column map_columns[MAP_COLUMNS];

/* One token of SQL. */
struct map_lex {
	const char	*p;		/* where to read on */
	const char	*tok;
	size_t		 len;
	enum {
		LEX_END, LEX_SPACE, LEX_NAME, LEX_QUOTED, LEX_STRING, LEX_NUMBER,
		LEX_SIGN, LEX_BAD
	}		 kind;
};

/* Moves on to the next token; comments count as space.  Returns its kind. */
int	 map_lex_next(struct map_lex *lex);
int	 map_lex_is(const struct map_lex *lex, const char *word);	/* any case */
int	 map_lex_is_one_of(const struct map_lex *lex, const char *const *list, int n);
/* What is wrong with the name that lex is at (static), NULL: nothing. */
const char *map_name_fault(const struct map_lex *lex, int *ret_is_column);
/* The name that text is, unquoted, the caller's; NULL: it is more than a name, or no memory. */
char	*map_only_name(const char *text, size_t len);
/* The place among map_columns, -1: there is none. */
int	 map_find_column(enum map_table table, const char *name, size_t len);
int	 map_find_table(const char *name, size_t len);
/* Appends expr with its columns qualified by prefix, "" for none; *ret_why is set to what is
 * not allowed in it (static) and *ret_at to where. */
void	 map_print_expr(const char *expr, const char *prefix, struct buf *ret,
	    const char **ret_why, const char **ret_at);
void	 map_print_name(const char *name, struct buf *ret);		/* "quoted" */
void	 map_print_string(const char *text, struct buf *ret);		/* 'quoted' */
/* Appends column i of table t as read through prefix ("s", "NEW", "OLD"). */
void	 map_print_value(const struct sitemap *map, int i, const char *prefix,
	    struct buf *ret);

#endif
