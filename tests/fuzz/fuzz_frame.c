/*
 * What clients send in JSON: a frame, a list of frames, something to be published; and
 * what is printed of it.  The first byte chooses.
 */
#include <json-c/json.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "frame.h"
#include "fuzz.h"
#include "payload.h"
#include "publication.h"

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

/* What we print is JSON ourselves would take. */
static void
expect_json(struct buf *b)
{
	struct json_object *obj;

	EXPECT(buf_err(b) == 0);
	EXPECT(frame_parse_json(b->p, b->len, FRAME_MAX_DEPTH + 2, &obj) == 0);
	EXPECT(json_object_is_type(obj, json_type_object));
	json_object_put(obj);
	buf_reset(b);
}

static void
look_at_frame(const struct frame *f)
{
	struct buf b;
	size_t i;

	buf_init(&b, 1024 * 1024);
	EXPECT(f->key == NULL || strlen(f->key) <= FRAME_MAX_KEY);
	EXPECT(f->n_rooms <= FRAME_MAX_ROOMS);
	for (i = 1; i < f->n_rooms; i++)
		EXPECT(strcmp(f->rooms[i - 1], f->rooms[i]) < 0);
	if (f->type == FRAME_SEND && f->why == NULL) {
		EXPECT(strlen(f->content) == f->content_len);
		EXPECT(f->content_len > 0);
		EXPECT(strlen(f->room_id) <= FRAME_MAX_ID);
		EXPECT(strlen(f->message_type) <= FRAME_MAX_TYPE);
	}
	if (f->type == FRAME_PING && f->payload != NULL) {
		frame_print_pong(&b, f->payload, f->payload_len);
		expect_json(&b);
	}
	frame_print_ack(&b, f->key, "m1", 1, 0);
	expect_json(&b);
	frame_print_error(&b, PROBLEM_BAD_REQUEST, f->why, f->key, 0);
	expect_json(&b);
	buf_release(&b);
}

static void
look_at_list(const char *p, size_t len)
{
	struct frame *list;
	size_t i, n;
	int is_list;

	if (frame_parse_list(p, len, &list, &n, &is_list) < 0)
		return;
	EXPECT(n <= FRAME_MAX_LIST && (is_list || n == 1));
	for (i = 0; i < n; i++)
		look_at_frame(&list[i]);
	frame_free_list(list, n);
}

/*
 * A payload that was normalized is so. Bytes that are no UTF-8 are replaced, so that two
 * names may become one: then the second time counts.
 */
static void
look_at_payload(const char *p, size_t len)
{
	struct buf b[3];
	size_t i, n;

	for (i = 0; i < 3; i++)
		buf_init(&b[i], 2 * PAYLOAD_MAX);
	if (payload_normalize(p, len, &b[0]) == 0) {
		for (n = 1; n < 3; n++)
			EXPECT(payload_normalize(b[n - 1].p, b[n - 1].len,
			    &b[n]) == 0);
		EXPECT(b[1].len == b[2].len);
		EXPECT(memcmp(b[1].p, b[2].p, b[1].len) == 0);
	}
	for (i = 0; i < 3; i++)
		buf_release(&b[i]);
}

static void
look_at_publication(const char *p, size_t len)
{
	struct publication pub;
	const char *why = NULL;

	if (publication_parse(p, len, &pub, &why) < 0) {
		EXPECT(why != NULL);
		return;
	}
	EXPECT(pub.type != NULL && pub.type[0] != '\0');
	EXPECT(pub.room_id == NULL || pub.user_id == NULL);
	EXPECT(pub.ttl_ms >= 0);
	look_at_payload(pub.payload, pub.payload_len);
	publication_release(&pub);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	const char *text = (const char *)p + 1;
	struct frame f;

	if (len < 1)
		return 0;
	switch (p[0] & 3) {
	case 0:
		if (frame_parse(text, len - 1, &f) == 0) {
			look_at_frame(&f);
			frame_release(&f);
		}
		break;
	case 1:
		look_at_list(text, len - 1);
		break;
	case 2:
		look_at_publication(text, len - 1);
		break;
	default:
		look_at_payload(text, len - 1);
		break;
	}
	return 0;
}
