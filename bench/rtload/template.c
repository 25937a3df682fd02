/*
 * Filling in (template.h).
 */
#include <inttypes.h>
#include <string.h>

#include "buf.h"
#include "template.h"

void
template_print(struct buf *b, const char *text, const struct template_values *v)
{
	const char *p;

	for (;;) {
		p = strchr(text, '%');
		if (p == NULL) {
			buf_adds(b, text);
			return;
		}
		buf_add(b, text, (size_t)(p - text));
		text = p + 2;
		switch (p[1]) {
		case 't':
			buf_adds(b, v->token);
			break;
		case 'c':
			buf_adds(b, v->cursor);
			break;
		case 'T':
			buf_addf(b, "%" PRIu64, v->at_ns);
			break;
		case 'n':
			buf_addf(b, "%" PRIu64, v->number);
			break;
		default:
			buf_addc(b, '%');
			text = p + 1;
			break;
		}
	}
}
