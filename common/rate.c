/*
 * Token buckets: the arithmetic behind the limits of polls, sends and frames.
 *
 * A word holds the time of the last change in its upper 40 bits (34 years of
 * milliseconds, so it does not wrap) and thousandths of a token, plus one, in
 * its lower 24: no state of a used bucket is the zero word.  A rate of n tokens
 * a second is n thousandths a millisecond, so all is exact.
 */
#include <stdatomic.h>
#include <stddef.h>

#include "rate.h"

#define TOKEN		1000			/* thousandths */
#define LEVEL_BITS	24
#define LEVEL_MASK	((1U << LEVEL_BITS) - 1)
#define MAX_BURST	((int)((LEVEL_MASK - 1) / TOKEN))
/*
 * Two threads may read the clock in one order and come here in the other: that
 * much older than the last change is no time at all.  Older still is the clock
 * of another boot, and the word says nothing.
 */
#define SLACK_MS	1000

int
rate_take(_Atomic uint64_t *bucket, int per_s, int burst, int64_t now_ms)
{
	uint64_t word, next;
	int64_t then_ms, full, level, elapsed;

	if (bucket == NULL || per_s <= 0)
		return 0;
	if (burst < 1)
		burst = 1;
	else if (burst > MAX_BURST)
		burst = MAX_BURST;
	full = (int64_t)burst * TOKEN;

	word = atomic_load(bucket);
	do {
		then_ms = (int64_t)(word >> LEVEL_BITS);
		level = (int64_t)(word & LEVEL_MASK) - 1;
		elapsed = now_ms - then_ms;
		if (level < 0 || elapsed < -SLACK_MS) {
			level = full;
			then_ms = now_ms;
		} else if (elapsed > 0) {
			if (elapsed > full / per_s)
				level = full;
			else
				level += elapsed * per_s;
			then_ms = now_ms;
		}
		if (level > full)
			level = full;
		if (level < TOKEN)
			return (int)(then_ms - now_ms +
			    (TOKEN - level + per_s - 1) / per_s);
		next = (uint64_t)then_ms << LEVEL_BITS |
		    (uint64_t)(level - TOKEN + 1);
	} while (!atomic_compare_exchange_weak(bucket, &word, next));
	return 0;
}

int
rate_is_news(_Atomic uint64_t *word, uint32_t what, int64_t span_ms,
    int64_t now_ms)
{
	uint64_t have, next;
	int64_t elapsed;

	if (word == NULL)
		return 1;
	what = (what ^ what >> LEVEL_BITS) & LEVEL_MASK;
	next = (uint64_t)now_ms << LEVEL_BITS | what;
	have = atomic_load(word);
	do {
		elapsed = now_ms - (int64_t)(have >> LEVEL_BITS);
		if (have != 0 && (have & LEVEL_MASK) == what &&
		    elapsed > -SLACK_MS && elapsed < span_ms)
			return 0;
	} while (!atomic_compare_exchange_weak(word, &have, next));
	return 1;
}
