/*
 * Tokens.  By the first byte the rest is an Authorization header; a token; or the claims,
 * or the header, of one that is well signed.
 */
#include <string.h>
#include <unistd.h>

#include "../unit/testtoken.h"
#include "auth.h"
#include "conf.h"
#include "fuzz.h"

#define KEY	"a key of thirty-two bytes or more"
#define HEADER	"{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define CLAIMS	"{\"sub\":\"u1\",\"exp\":20000}"
#define NOW	10000

static struct conf conf;
static struct auth *auth;

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char path[] = "/tmp/fuzz-auth-XXXXXX", text[256], why[512] = "";
	int fd = mkstemp(path);

	(void)argc;
	(void)argv;
	EXPECT(fd >= 0);
	EXPECT(write(fd, KEY, strlen(KEY)) == (ssize_t)strlen(KEY));
	(void)close(fd);
	(void)snprintf(text, sizeof(text), "database = /nowhere\n"
	    "run_dir = /nowhere\njwt.key_file = %s\n", path);
	EXPECT(conf_parse("fuzz", text, strlen(text), NULL, &conf, why,
	    sizeof(why)) == 0);
	EXPECT(auth_open(&conf, &auth, why, sizeof(why)) == 0);
	(void)unlink(path);
	return 0;
}

static void
verify(const char *token, size_t len)
{
	struct auth_claims claims, before;
	const char *why = NULL;
	enum problem problem;

	memset(&claims, 0x5a, sizeof(claims));
	before = claims;
	problem = auth_verify(auth, token, len, NOW, &claims, &why);
	if (problem != PROBLEM_NONE) {
		EXPECT(why != NULL);
		EXPECT(memcmp(&claims, &before, sizeof(claims)) == 0);
		return;
	}
	EXPECT(claims.user_id[0] != '\0');
	EXPECT(strnlen(claims.user_id, sizeof(claims.user_id)) <=
	    AUTH_MAX_USER);
	EXPECT(strnlen(claims.scope, sizeof(claims.scope)) <= AUTH_MAX_SCOPE);
	EXPECT(strnlen(claims.name, sizeof(claims.name)) <= AUTH_MAX_NAME);
	EXPECT(strnlen(claims.avatar, sizeof(claims.avatar)) <=
	    AUTH_MAX_AVATAR);
	EXPECT(claims.expires_at_s + conf.jwt_leeway_s > NOW);
	(void)auth_has_scope(&claims, "publish");
}

static void
verify_signed(const char *header, const char *claims, size_t len)
{
	char *token = token_raw_len(header, claims, len, KEY, strlen(KEY));

	verify(token, strlen(token));
	free(token);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	const char *token;
	size_t token_len = 0;
	char *text;

	if (len < 1)
		return 0;
	text = strndup((const char *)p + 1, len - 1);
	EXPECT(text != NULL);
	switch (p[0] & 3) {
	case 0:
		token = auth_parse_bearer(text, &token_len);
		if (token != NULL)
			verify(token, token_len);
		break;
	case 1:
		verify((const char *)p + 1, len - 1);
		break;
	case 2:
		verify_signed(HEADER, (const char *)p + 1, len - 1);
		break;
	default:
		verify_signed(text, CLAIMS, strlen(CLAIMS));
		break;
	}
	free(text);
	return 0;
}
