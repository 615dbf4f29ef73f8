/* code.h - the source files of one generation of an app.
 *
 * A file is read once, by whoever asks first; every state of the generation
 * gets the same text, also one that is started long after the file has changed
 * or gone. That a file is not there is kept, too.
 *
 * Owns:    path, text and last look of each file.
 * Thread:  any; one lock guards it all. Reading a file waits for the disk,
 *          without the lock: whoever is first gives it to all.
 * Life:    new -> (ref | read | note | look)* -> unref by each holder.
 * Knows:   base, libc.
 */
#ifndef LQ_CODE_H
#define LQ_CODE_H

#include "base/defs.h"
#include "base/str.h"

typedef struct lq_code lq_code;

/* The caller has the one reference. NULL: no memory. */
lq_code *lq_code_new(void) LQ_MUST_CHECK;
LQ_ANY_THREAD lq_code *lq_code_ref(lq_code *code);
/* NULL is allowed. */
LQ_ANY_THREAD void lq_code_unref(lq_code *code);

/* The text of the file at `path`, lent until unref. Returns -errno as opening
 * and reading did the first time (-EISDIR: a folder; -EFBIG: over 64 MiB); an
 * error that passes is not kept. */
LQ_ANY_THREAD int lq_code_read(lq_code *code, const char *path,
                               lq_str *text) LQ_MUST_CHECK;

/* Whether the error says nothing about the file: out of memory or descriptors,
 * or a disk that fails. */
LQ_ANY_THREAD bool lq_code_is_passing(int err);

/* The file is looked at for changes, though its text is not kept: the app reads
 * it whenever it likes. */
LQ_ANY_THREAD void lq_code_note(lq_code *code, const char *path);

/* The path of a file that is not as it was when read, noted or accepted, lent
 * until unref; NULL: there is none. What was seen of all such files is mixed
 * into `mark`: another value means that they have changed since. */
LQ_ANY_THREAD const char *lq_code_look(lq_code *code, uint64_t *mark);

/* What the files are now is what they are compared with from here on. */
LQ_ANY_THREAD void lq_code_accept(lq_code *code);

#endif
