/* version.h - the version of luaqueduct.
 *
 * Owns:    nothing.
 * Thread:  none.
 * Knows:   nothing.
 */
#ifndef LQ_VERSION_H
#define LQ_VERSION_H

#define LQ_VERSION "0.1.0"

#endif
