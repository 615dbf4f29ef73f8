/* fuzz_pack.c - packed values from anywhere.
 *
 * Owns:    nothing that outlives an input.
 * Thread:  none.
 * Knows:   base, lua/pack, lua/json.
 */
#include <errno.h>

#include "base/err.h"
#include "fuzz.h"
#include "lua/json.h"
#include "lua/pack.h"
#include "lua_state.h"
#include "pack_oracle.h"

/* New memory that is enough for any bytes, whatever they say of themselves. */
enum { ROOM = 1 << 16, ROOM_A_BYTE = 256, FIRST = 1, SECOND, THIRD };

typedef struct unpacking {
    lq_str in;
    int result;
    lq_err err;
} unpacking;

static int unpack(lua_State *L)
{
    unpacking *u = lua_touserdata(L, 1);
    int top = lua_gettop(L);

    u->result = lq_unpack(L, u->in, &u->err);
    FUZZ_CHECK(lua_gettop(L) == top + (u->result == 0 ? 1 : 0));
    FUZZ_CHECK(u->result == 0 || u->err.text[0]);
    return u->result == 0 ? 1 : 0;
}

/* Unpacks from memory that is gone afterwards: 0, LQ_EINVALID or -ENOMEM. */
static int run_unpack(fuzz_state *s, lq_str in, size_t room)
{
    char *copy = fuzz_copy(in.ptr, in.len);
    unpacking u = {.in = {copy, in.len}};

    if (!fuzz_state_run(s, unpack, &u, room)) u.result = -ENOMEM;
    free(copy);
    FUZZ_CHECK(u.result == 0 || u.result == LQ_EINVALID || room);
    return u.result;
}

/* ---- packing again ------------------------------------------------------- */

/* No other length than the whole is a value. */
static void try_other_lengths(fuzz_state *s, lq_buf *packed, uint64_t seed)
{
    size_t len = lq_buf_len(packed), cut = fuzz_next(&seed, len);

    FUZZ_CHECK(run_unpack(s, (lq_str){lq_buf_ptr(packed), cut}, 0) ==
               LQ_EINVALID);
    FUZZ_CHECK(lq_buf_append(packed, "", 1) == 0);
    FUZZ_CHECK(run_unpack(s, (lq_str){lq_buf_ptr(packed), len + 1}, 0) ==
               LQ_EINVALID);
}

/* stack: the value. What is packed is the same value. Elements that a table
 * does not hold in order may get their keys, of 9 bytes at most. */
static void try_pack(fuzz_state *s, lq_str in, uint64_t seed)
{
    lq_buf packed;

    lq_buf_init(&packed);
    lq_pack(s->L, FIRST, &packed);
    FUZZ_CHECK(lq_buf_len(&packed) <= 10 * in.len);
    FUZZ_CHECK(run_unpack(s, (lq_str){lq_buf_ptr(&packed), lq_buf_len(&packed)},
                          0) == 0);
    FUZZ_CHECK(lua_gettop(s->L) == THIRD);
    FUZZ_CHECK(fuzz_is_same_value(s->L, FIRST, THIRD));
    try_other_lengths(s, &packed, seed);
    lq_buf_fini(&packed);
}

/* ---- as JSON ------------------------------------------------------------- */

static int encode(lua_State *L)
{
    lq_json_encode(L, 1, lua_touserdata(L, 2));
    return 0;
}

/* stack: the value. It is refused with words, or becomes good JSON. */
static void try_json(fuzz_state *s)
{
    lq_buf out;
    lq_err err;

    lq_buf_init(&out);
    lua_pushcfunction(s->L, encode);
    lua_pushvalue(s->L, FIRST);
    lua_pushlightuserdata(s->L, &out);
    if (lua_pcall(s->L, 2, 0, 0) == LUA_OK)
        FUZZ_CHECK(lq_json_decode(s->L,
                                  (lq_str){lq_buf_ptr(&out), lq_buf_len(&out)},
                                  &err) == 0);
    else
        FUZZ_CHECK(strstr(lua_tostring(s->L, -1), "cannot encode JSON: "));
    lua_pop(s->L, 1);
    lq_buf_fini(&out);
}

/* With so little memory it fails cleanly or does the same. */
static void try_little_memory(fuzz_state *s, lq_str in, int result,
                              uint64_t seed)
{
    int little = run_unpack(s, in, 1 + fuzz_next(&seed, 256 + 16 * in.len));

    FUZZ_CHECK(little == -ENOMEM || little == result);
    if (little == 0)
        FUZZ_CHECK(fuzz_is_same_value(s->L, FIRST, lua_gettop(s->L)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    lq_str in = {(const char *)data, len};
    uint64_t seed = fuzz_seed(data, len);
    fuzz_state s;
    int result;

    fuzz_state_init(&s);
    result = run_unpack(&s, in, ROOM + ROOM_A_BYTE * len);
    if (result == 0) {
        FUZZ_CHECK(pack_oracle_push(s.L, in));
        FUZZ_CHECK(fuzz_is_same_value(s.L, FIRST, SECOND));
        try_pack(&s, in, seed);
        try_json(&s);
    } else {
        FUZZ_CHECK(result == LQ_EINVALID);
        FUZZ_CHECK(!pack_oracle_push(s.L, in));
    }
    try_little_memory(&s, in, result, seed);
    fuzz_state_fini(&s);
    return 0;
}
