/*
 * run - what is done with a load, and the line of key=value words that comes of it.
 */
#ifndef RUN_H
#define RUN_H

struct load;

/* Polls for the time the options say and prints one line. */
void	 run_polls(struct load *l);

/*
 * Opens all, prints a line, and then does what stdin says, a line each:
 *   step RATE SECONDS   publish so many events a second, wait for all to arrive
 *   idle SECONDS        do nothing; what the server uses meanwhile
 *   end                 as at the end of stdin
 */
void	 run_steps(struct load *l);

#endif
