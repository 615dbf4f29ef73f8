/* body.h - the methods of a request that read its body: whole, in chunks, as
 * JSON or as a form.
 *
 * Owns:    nothing: the bytes that came and were not read are the exchange's.
 * Thread:  that of the state; they suspend the request's task until there is
 *          what they wait for.
 * Knows:   exchange, task, json, pairs, request.
 */
#ifndef LQ_BODY_H
#define LQ_BODY_H

#include <lua.h>

/* Adds the methods to the table on top: body, chunks, form, form_all, json. */
void lq_body_add_methods(lua_State *L);

#endif
