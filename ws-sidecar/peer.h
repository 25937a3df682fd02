/*
 * peer - facts about a connected socket that its library does not tell.
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

#endif
