/*
 * cgi - the same service for one request in a process that ends with it (RFC 3875).
 *
 * Threads: there is one.
 */
#ifndef CGI_H
#define CGI_H

/* Non-zero if a web server started this process to answer one request as CGI. */
int	 cgi_is_meant(void);

/* Answers the request of the environment on standard output; what went wrong is said there
 * and on standard error.  Returns the exit status: 0 once something was answered. */
int	 cgi_run(const char *conf_path);

#endif
