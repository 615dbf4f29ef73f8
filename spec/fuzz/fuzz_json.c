/* fuzz_json.c - JSON to Lua values and back.
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, lua/json.
 */
#include <errno.h>

#include "base/err.h"
#include "fuzz.h"
#include "json_oracle.h"
#include "lua/json.h"
#include "lua_state.h"

/* New memory that is enough for any text: what the levels take, and what a
 * byte can make. */
enum { ROOM = 1 << 20, ROOM_A_BYTE = 256, FIRST = 1, SECOND, THIRD };

typedef struct decoding {
    lq_str in;
    int result;
    lq_err err;
} decoding;

static int decode(lua_State *L)
{
    decoding *d = lua_touserdata(L, 1);
    int top = lua_gettop(L);

    d->result = lq_json_decode(L, d->in, &d->err);
    FUZZ_CHECK(lua_gettop(L) == top + (d->result == 0 ? 1 : 0));
    return d->result == 0 ? 1 : 0;
}

/* Decodes from memory that is gone afterwards. */
static decoding run_decode(fuzz_state *s, lq_str in, size_t room)
{
    char *copy = fuzz_copy(in.ptr, in.len);
    decoding d = {.in = {copy, in.len}};

    if (!fuzz_state_run(s, decode, &d, room)) d.result = -ENOMEM;
    free(copy);
    return d;
}

/* The error names a byte of the text, or the one behind it. */
static void check_refused(const decoding *d)
{
    size_t byte = 0;

    FUZZ_CHECK(d->result == LQ_EINVALID);
    FUZZ_CHECK(sscanf(d->err.text, "invalid JSON at byte %zu: ", &byte) == 1);
    FUZZ_CHECK(byte <= d->in.len + 1);
}

/* stack: the value. What is encoded is JSON for the same value. */
static void try_encode(fuzz_state *s)
{
    lq_buf out;
    decoding d;

    lq_buf_init(&out);
    lq_json_encode(s->L, FIRST, &out);
    d = run_decode(s, (lq_str){lq_buf_ptr(&out), lq_buf_len(&out)}, 0);
    FUZZ_CHECK(d.result == 0 && lua_gettop(s->L) == THIRD);
    FUZZ_CHECK(fuzz_is_same_value(s->L, FIRST, THIRD));
    lq_buf_fini(&out);
}

/* With so little memory it fails cleanly or does the same. */
static void try_little_memory(fuzz_state *s, lq_str in, int result,
                              uint64_t seed)
{
    size_t room = 1 + fuzz_next(&seed, 256 + 16 * in.len);
    decoding d = run_decode(s, in, room);

    FUZZ_CHECK(d.result == -ENOMEM || d.result == result);
    if (d.result == 0)
        FUZZ_CHECK(fuzz_is_same_value(s->L, FIRST, lua_gettop(s->L)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    lq_str in = {(const char *)data, len};
    fuzz_state s;
    decoding d;

    fuzz_state_init(&s);
    d = run_decode(&s, in, ROOM + ROOM_A_BYTE * len);
    if (d.result < 0) {
        check_refused(&d);
        FUZZ_CHECK(!json_oracle_push(s.L, in));
    } else {
        FUZZ_CHECK(json_oracle_push(s.L, in));
        FUZZ_CHECK(lua_gettop(s.L) == SECOND);
        FUZZ_CHECK(fuzz_is_same_value(s.L, FIRST, SECOND));
        try_encode(&s);
    }
    try_little_memory(&s, in, d.result, fuzz_seed(data, len));
    fuzz_state_fini(&s);
    return 0;
}
