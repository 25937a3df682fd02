/*
 * peer - what the library does not tell of a connected socket, or do with it.
 *
 * Threads: any.
 */
#ifndef PEER_H
#define PEER_H

#include <stddef.h>
#include <stdint.h>

/* The numeric address of the other end; "" for a unix socket. */
void	 peer_print_address(int fd, char *ret, size_t size);
/* A number that changes when the other end takes data. */
uint64_t peer_progress(int fd);
/*
 * For TCP: what is sent goes at once, and not when what was sent before has been
 * acknowledged (RFC 896); and the kernel takes no more than about this many bytes
 * that it cannot send yet.
 */
void	 peer_prepare(int fd, int bytes);

#endif
