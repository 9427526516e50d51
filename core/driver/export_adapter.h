/* export_adapter.h - `vitro export METHODFILE --peft FOLDER`: a trained method as an adapter of Hugging Face peft. */
#ifndef VITRO_DRIVER_EXPORT_ADAPTER_H
#define VITRO_DRIVER_EXPORT_ADAPTER_H

#include "driver.h"

int export_adapter(const struct settings *s);

#endif
