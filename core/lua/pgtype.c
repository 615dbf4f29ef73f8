/* pgtype.c - see pgtype.h. */
#include "lua/pgtype.h"

#include <errno.h>

#include "base/mem.h"

enum {
    BUILT_IN = 10000, /* oids below do not differ between servers */
    DEPTH = 32,       /* of domains over domains */
};

const char *const lq_pgtypes_sql =
    "with recursive t as ("
    "select oid, typbasetype, typelem, typoutput, typdelim"
    " from pg_catalog.pg_type where oid = any ($1) "
    "union select b.oid, b.typbasetype, b.typelem, b.typoutput, b.typdelim"
    " from t join pg_catalog.pg_type b on b.oid = t.typbasetype"
    " or t.typoutput = 'pg_catalog.array_out'::regproc and b.oid = t.typelem) "
    "select oid, typbasetype, case when typoutput ="
    " 'pg_catalog.array_out'::regproc then typelem else 0 end, typdelim from t";

static const struct {
    uint32_t oid;
    uint32_t element;
} arrays[] = {
    {143, 142},   {199, 114},   {271, 5069},  {629, 628},   {651, 650},
    {719, 718},   {775, 774},   {791, 790},   {1000, 16},   {1001, 17},
    {1002, 18},   {1003, 19},   {1005, 21},   {1006, 22},   {1007, 23},
    {1008, 24},   {1009, 25},   {1010, 27},   {1011, 28},   {1012, 29},
    {1013, 30},   {1014, 1042}, {1015, 1043}, {1016, 20},   {1017, 600},
    {1018, 601},  {1019, 602},  {1020, 603},  {1021, 700},  {1022, 701},
    {1027, 604},  {1028, 26},   {1034, 1033}, {1040, 829},  {1041, 869},
    {1115, 1114}, {1182, 1082}, {1183, 1083}, {1185, 1184}, {1187, 1186},
    {1231, 1700}, {1263, 2275}, {1270, 1266}, {1561, 1560}, {1563, 1562},
    {2201, 1790}, {2207, 2202}, {2208, 2203}, {2209, 2204}, {2210, 2205},
    {2211, 2206}, {2287, 2249}, {2949, 2970}, {2951, 2950}, {3221, 3220},
    {3643, 3614}, {3645, 3615}, {3735, 3734}, {3770, 3769}, {3807, 3802},
    {3905, 3904}, {3907, 3906}, {3909, 3908}, {3911, 3910}, {3913, 3912},
    {3927, 3926}, {4073, 4072}, {4090, 4089}, {4097, 4096}, {4192, 4191},
    {5039, 5038}, {6150, 4451}, {6151, 4532}, {6152, 4533}, {6153, 4534},
    {6155, 4535}, {6157, 4536},
};

static lq_pgkind kind_of(uint32_t oid)
{
    switch (oid) {
    case 16: return LQ_PGKIND_BOOL;
    case 17: return LQ_PGKIND_BYTEA;
    case LQ_PGOID_INT8:
    case LQ_PGOID_INT2:
    case LQ_PGOID_INT4:
    case 26: return LQ_PGKIND_INT;
    case LQ_PGOID_FLOAT4:
    case LQ_PGOID_FLOAT8: return LQ_PGKIND_FLOAT;
    case 19:   /* name */
    case 25:   /* text */
    case 1042: /* bpchar */
    case 1043: /* varchar */ return LQ_PGKIND_STRING;
    case 114:
    case LQ_PGOID_JSONB: return LQ_PGKIND_JSON;
    default: return LQ_PGKIND_TEXT;
    }
}

static uint32_t built_in_element(uint32_t oid)
{
    size_t low = 0, high = LQ_COUNT_OF(arrays), mid;

    while (low < high) {
        mid = (low + high) / 2;
        if (arrays[mid].oid < oid)
            low = mid + 1;
        else
            high = mid;
    }
    return low < LQ_COUNT_OF(arrays) && arrays[low].oid == oid
               ? arrays[low].element
               : 0;
}

static const lq_pgtype_row *row_of(const lq_pgtypes *ts, uint32_t oid)
{
    size_t i;

    for (i = 0; i < ts->count; i++)
        if (ts->rows[i].oid == oid) return &ts->rows[i];
    return NULL;
}

static char delimiter_of(const lq_pgtypes *ts, uint32_t element)
{
    const lq_pgtype_row *row = row_of(ts, element);

    if (element == 603) return ';'; /* box */
    return row && row->delimiter ? row->delimiter : ',';
}

static lq_pgtype find_built_in(uint32_t oid)
{
    uint32_t element = built_in_element(oid);

    if (!element) return (lq_pgtype){oid, kind_of(oid), 0, 0};
    return (lq_pgtype){oid, LQ_PGKIND_ARRAY, element,
                       element == 603 ? ';' : ','};
}

lq_pgtype lq_pgtypes_find(const lq_pgtypes *ts, uint32_t oid)
{
    const lq_pgtype_row *row;
    int i;

    for (i = 0; i < DEPTH && oid >= BUILT_IN; i++) {
        if (!(row = row_of(ts, oid)))
            return (lq_pgtype){oid, LQ_PGKIND_UNKNOWN, 0, 0};
        if (row->element)
            return (lq_pgtype){oid, LQ_PGKIND_ARRAY, row->element,
                               delimiter_of(ts, row->element)};
        if (!row->base) return (lq_pgtype){oid, LQ_PGKIND_TEXT, 0, 0};
        oid = row->base;
    }
    return find_built_in(oid);
}

void lq_pgtypes_init(lq_pgtypes *ts)
{
    *ts = (lq_pgtypes){0};
}

void lq_pgtypes_fini(lq_pgtypes *ts)
{
    lq_mem_free(ts->rows);
    lq_pgtypes_init(ts);
}

int lq_pgtypes_set(lq_pgtypes *ts, const lq_pgtype_row *row)
{
    size_t cap = ts->cap ? ts->cap * 2 : 16, i;
    lq_pgtype_row *rows;

    for (i = 0; i < ts->count; i++)
        if (ts->rows[i].oid == row->oid) {
            ts->rows[i] = *row;
            return 0;
        }
    if (ts->count == ts->cap) {
        rows = lq_mem_realloc(ts->rows, cap * sizeof *rows);
        if (!rows) return -ENOMEM;
        ts->rows = rows;
        ts->cap = cap;
    }
    ts->rows[ts->count++] = *row;
    return 0;
}
