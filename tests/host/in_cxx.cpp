/* in_cxx.cpp - a plugin in C++20: y = x + shift at MLP_OUT. */
#include <vitro/sdk.h>

namespace
{
struct shifted {
    vitro_param shift;
};

int declare(void *self, vitro_decl *d)
{
    vitro_param_info info{};
    info.size = sizeof info;
    info.name = "shift";
    info.shape = {1, {d->model->dim, 0, 0, 0}};
    static_cast<shifted *>(self)->shift = d->param(d, &info);
    d->hook(d, VITRO_BIT(MLP_OUT), {0, 0});
    return 0;
}

vitro_value forward(void *self, vitro_trace *t, const vitro_site *, vitro_value x)
{
    return vitro_add(t, x, vitro_get(t, static_cast<shifted *>(self)->shift));
}
} // namespace

const vitro_plugin_info vitro_plugin = {
    VITRO_HEAD,
    .id = "in_cxx",
    .version = "1",
    .self_size = sizeof(shifted),
    .declare = declare,
    .forward = forward,
};
