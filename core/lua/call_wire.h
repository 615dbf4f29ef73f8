/* call_wire.h - the bytes of a call of a service, and of what comes back.
 *
 * A request is a head, the method's name, and the arguments, each packed. A
 * reply is a head and the results, each packed; or an error's code and message.
 * Both sides run in this process, so the head is as it stands in memory.
 *
 * Owns:    nothing.
 * Thread:  that of the state.
 * Knows:   pack, vm, hub.
 */
#ifndef LQ_CALL_WIRE_H
#define LQ_CALL_WIRE_H

#include "hub/hub.h"
#include "lua/vm.h"

enum { LQ_CALL_METHOD_MAX = 128 /* bytes of a name, with its end */ };

typedef enum lq_call_kind {
    LQ_CALL_REQUEST,
    LQ_CALL_CAST,
    LQ_CALL_RESULTS,
    LQ_CALL_FAILURE, /* with code and message */
} lq_call_kind;

typedef struct lq_call_head {
    uint32_t kind;
    uint32_t values; /* how many follow, packed */
    uint64_t id;
    lq_hub_address from; /* of a request: where the reply goes */
    int code;            /* of a failure that is ours; else 0 */
    uint32_t text_len;   /* the method; the error's code */
} lq_call_head;

/* Head and text. -ENOMEM. */
int lq_call_put_head(lq_buf *out, const lq_call_head *h,
                     const char *text) LQ_MUST_CHECK;

/* The values from index `first` to the top, packed. Raises. */
void lq_call_pack(lua_State *L, int first, lq_buf *out);

/* Pushes `count` values out of `bytes`; returns count. Raises for memory. */
int lq_call_push(lua_State *L, lq_str bytes, uint32_t count);

/* The vm's buffer for what is packed next, empty. */
lq_buf *lq_call_scratch(lq_vm *vm);

#endif
