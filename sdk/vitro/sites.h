/* sites.h - places in the network: sets of them, what stands and is read there, parameters named by them. A set is
 * an OR of VITRO_BITs. Part of sdk.h. For C and C++. */
#ifndef VITRO_SITES_H
#define VITRO_SITES_H
#include <string.h>
#include <vitro/method.h>

#define VITRO_ATTENTION_LAYERS (VITRO_BIT(QKV) | VITRO_BIT(PROJ))
#define VITRO_MLP_LAYERS (VITRO_BIT(FC1) | VITRO_BIT(FC2))
#define VITRO_LAYERS (VITRO_ATTENTION_LAYERS | VITRO_MLP_LAYERS)

/* The name of a site, "QKV". */
static inline const char *vitro_site_name(int32_t site)
{
#define X(id) #id,
    static const char *const names[] = {VITRO_SITES(X)};
#undef X
    return names[site];
}

/* The site of a set after `site`, in the order of VITRO_SITES; -1 behind the last:
 *     for (int32_t s = -1; (s = vitro_next(sites, s)) >= 0;) */
static inline int32_t vitro_next(uint32_t sites, int32_t site)
{
    for (site++; site < VITRO_SITE_COUNT; site++)
        if (sites >> site & 1)
            return site;
    return -1;
}

/* Of a set the sites that merge(block) is about: those in the blocks, or with block -1 those outside. */
static inline uint32_t vitro_sites_of(int32_t block, uint32_t sites)
{
    const uint32_t outside =
        VITRO_BIT(EMBED) | VITRO_BIT(TOKENS) | VITRO_BIT(NORM_PRE) | VITRO_BIT(NORM) | VITRO_BIT(HEAD);
    return sites & (block < 0 ? outside : ~outside);
}

/* Places in the whole network: a site in the blocks counts once a block. */
static inline int32_t vitro_count(const vitro_model *m, uint32_t sites)
{
    int32_t n = 0;
    for (int32_t s = -1; (s = vitro_next(sites, s)) >= 0;)
        n += vitro_sites_of(-1, 1u << s) ? 1 : m->depth;
    return n;
}

/* Hooks sites in every block. */
static inline void vitro_hook(vitro_decl *d, uint32_t sites)
{
    const vitro_blocks all = {0, 0};
    d->hook(d, sites, all);
}

/* See VITRO_PARAM_AT; with site -1 the name stays as it is. */
static inline vitro_param vitro_param_at(vitro_decl *d, int32_t site, const vitro_param_info *info)
{
    char name[128] = "";
    vitro_param_info named = *info;
    if (site < 0)
        return d->param(d, info);
    strncat(name, info->name, 100); /* the host refuses more than 63 */
    strcat(strcat(name, "."), vitro_site_name(site));
    named.name = name;
    return d->param(d, &named);
}

/* Channels of a site's value. */
static inline int32_t vitro_width(const vitro_model *m, int32_t site)
{
    return site == VITRO_AT_QKV                           ? 3 * m->dim
           : site == VITRO_AT_FC1 || site == VITRO_AT_ACT ? m->hidden
           : site == VITRO_AT_HEAD                        ? m->classes
                                                          : m->dim;
}

/* The site whose value a block's linear layer reads: x wT + b, x at vitro_input, at QKV Q K V PROJ FC1 FC2. */
static inline int32_t vitro_input(int32_t site)
{
    return site == VITRO_AT_PROJ  ? VITRO_AT_ATTN
           : site == VITRO_AT_FC1 ? VITRO_AT_NORM2
           : site == VITRO_AT_FC2 ? VITRO_AT_ACT
                                  : VITRO_AT_NORM1;
}

/* Numbers in a row of a linear layer's weight. */
static inline int32_t vitro_fan_in(const vitro_model *m, int32_t site)
{
    return vitro_width(m, vitro_input(site));
}

/* The other way: the linear layer that reads a site's value, of NORM1 ATTN NORM2 ACT. */
static inline int32_t vitro_reader(int32_t site)
{
    return site == VITRO_AT_ATTN    ? VITRO_AT_PROJ
           : site == VITRO_AT_NORM2 ? VITRO_AT_FC1
           : site == VITRO_AT_ACT   ? VITRO_AT_FC2
                                    : VITRO_AT_QKV;
}
#endif
