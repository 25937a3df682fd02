/*
 * notify - tells the supervisor READY, STOPPING and WATCHDOG: the datagram protocol
 * of sd_notify(3), without its library.
 *
 * Threads: any.  Nothing happens when NOTIFY_SOCKET is not set.
 */
#ifndef NOTIFY_H
#define NOTIFY_H

/* Sends state ("READY=1").  0, or ERR_IO, which a caller may ignore. */
int	 notify_send(const char *state);

/* Descriptors passed by the supervisor (LISTEN_FDS, LISTEN_PID): how many, the first is 3.
 * The variables are unset, the descriptors made close-on-exec. */
int	 notify_listen_fds(void);

#endif
