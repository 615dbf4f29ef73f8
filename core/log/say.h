/* say.h - a last word on standard error, past the log.
 *
 * For what ends the program before it serves, where no log is or all of it has
 * been said. A pipe that nobody reads does not hold it up for ever.
 *
 * Owns:    nothing.
 * Thread:  any.
 * Knows:   base, sink.
 */
#ifndef LQ_SAY_H
#define LQ_SAY_H

enum { LQ_SAY_MS = 500 };

/* Writes `luaqueduct: `, the printf format and a newline. Waits LQ_SAY_MS at
 * most; what is not taken by then is lost. */
void lq_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
