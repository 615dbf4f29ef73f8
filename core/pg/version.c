/* version.c - see version.h. */
#include "pg/version.h"

#include <libpq-fe.h>

void lq_pg_version(int *major, int *minor)
{
    int version = PQlibVersion();

    *major = version / 10000;
    *minor = version % 10000;
}
