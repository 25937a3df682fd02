/*
 * app - what all threads of the process share, tied together by main.c.
 *
 * Everything is borrowed from main.c and outlives the threads.
 */
#ifndef APP_H
#define APP_H

struct conf;
struct park;
struct presence;
struct shm;
struct writer;

struct app {
	const struct conf	*conf;
	struct shm		*shm;
	struct writer		*writer;	/* NULL: plain CGI, one request and no threads */
	struct presence		*presence;	/* NULL: plain CGI */
	struct park		*park;		/* NULL: plain CGI */
	int			 max_held_here;	/* by descriptors, beside poll.max_held of all */
	_Atomic unsigned	 generation;	/* grows when another database takes the path */
	_Atomic int		 is_db_down;	/* the last access failed; logged when it changes */
	_Atomic int		 is_draining;	/* no new holds */
};

#endif
