/*
 * rate - token buckets in shared memory; integers, and `now` as an argument.
 *
 * A bucket is one 64-bit word: thousandths of a token and the time of the last
 * change.  It holds burst tokens, regains per_s each second, and is changed by
 * compare-and-swap, so any number of processes share it.  A zero word is a full
 * bucket.
 * Threads: any.
 */
#ifndef RATE_H
#define RATE_H

#include <stdint.h>

/*
 * Takes one token.  0: taken.  Else the milliseconds after which there will be one.
 * per_s 0: no limit.  bucket NULL: no limit (no row could be had).  now_ms is
 * monotonic across the processes of one machine (CLOCK_MONOTONIC, clock_mono_ms()).
 */
int	 rate_take(_Atomic uint64_t *bucket, int per_s, int burst, int64_t now_ms);

/*
 * Whether something is said that was not said within the last span_ms: 1, and it is
 * remembered.  what is a number for it, of which 24 bits count; word holds the last one
 * and its time.  word NULL: everything is news.
 */
int	 rate_is_news(_Atomic uint64_t *word, uint32_t what, int64_t span_ms,
	    int64_t now_ms);

#endif
