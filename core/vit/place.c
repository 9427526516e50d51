/* place.c - see place.h. */
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X(id) #id,
const char *const site_names[VITRO_SITE_COUNT] = {VITRO_SITES(X)};
#undef X

const char place_backbone[] = "backbone";

static const char before_site[] = " at ", before_block[] = " of block ", no_site[] = "no site";

char *place_text(const char *who, int32_t site, int32_t block, char text[PLACE_TEXT])
{
    const char *where = site >= 0 && site < VITRO_SITE_COUNT ? site_names[site] : no_site;
    if (block < 0)
        snprintf(text, PLACE_TEXT, "%.80s%s%s", who, before_site, where);
    else
        snprintf(text, PLACE_TEXT, "%.80s%s%s%s%d", who, before_site, where, before_block, block);
    return text;
}

static int32_t site_of(const char *name, size_t length)
{
    for (int32_t i = 0; i < VITRO_SITE_COUNT; i++)
        if (strlen(site_names[i]) == length && memcmp(site_names[i], name, length) == 0)
            return i;
    return -1;
}

int place_read(const char *text, struct place *out)
{
    const char *where = text ? strstr(text, before_site) : NULL;
    if (!where || (size_t)(where - text) >= sizeof out->who)
        return 0;
    const char *name = where + sizeof before_site - 1, *block = strstr(name, before_block);
    const char *does = strstr(text, "'s "); /* names of methods hold no apostrophe */
    size_t who = (size_t)((does && does < where ? does : where) - text);
    memcpy(out->who, text, who);
    out->who[who] = 0;
    out->site = site_of(name, block ? (size_t)(block - name) : strlen(name));
    out->block = block ? (int32_t)strtol(block + sizeof before_block - 1, NULL, 10) : -1;
    return 1;
}
