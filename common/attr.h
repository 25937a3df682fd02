/*
 * attr - the three compiler attributes that our prototypes use.
 */
#ifndef ATTR_H
#define ATTR_H

/* Argument fmt is a printf format for the arguments from first on (1-based). */
#define ATTR_PRINTF(fmt, first)	__attribute__((format(printf, fmt, first)))
/* Ignoring the result is a bug. */
#define ATTR_MUST_CHECK		__attribute__((warn_unused_result))
#define ATTR_NORETURN		__attribute__((noreturn))

#endif
