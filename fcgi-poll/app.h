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
struct seen;
struct shm;
struct writer;

struct app {
	const struct conf	*conf;
	struct shm		*shm;
	struct writer		*writer;	/* NULL: plain CGI, no threads */
	struct presence		*presence;	/* NULL: plain CGI */
	struct park		*park;		/* NULL: plain CGI */
	struct seen		*seen;		/* NULL: plain CGI */
	int			 max_held_here;	/* by descriptors */
	_Atomic int		 held_here;	/* held, or on the way to it */
	_Atomic unsigned	 generation;	/* grows when the database is replaced */
	_Atomic int		 is_db_down;	/* the last access failed */
	_Atomic int		 is_draining;	/* no new holds */
	_Atomic int		 is_apache_told;	/* why polls do not wait there */
};

#endif
