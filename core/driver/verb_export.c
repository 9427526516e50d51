/* verb_export.c - `vitro export STUDY --csv|--json|--latex`: results for other programs; and
 * `vitro export METHODFILE --peft FOLDER`. */
#include "export_adapter.h"
#include "peft.h"
#include "study_view.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* RFC 4180: quoted where it must be, quotes doubled. */
static void put_field(const char *text, int last)
{
    if (strpbrk(text, ",\"\r\n")) {
        putchar('"');
        for (const char *c = text; *c; c++)
            printf("%s%c", *c == '"' ? "\"" : "", *c);
        putchar('"');
    } else {
        fputs(text, stdout);
    }
    fputs(last ? "\r\n" : ",", stdout);
}

static void put_number(double number, int last)
{
    if (!isnan(number))
        printf("%.9g", number);
    fputs(last ? "\r\n" : ",", stdout);
}

static void csv_row(const struct json *analysis, const struct json *result)
{
    const size_t m = (size_t)view_number(result, "method"), k = (size_t)view_number(result, "pack");
    const struct json *method = view_at(json_get(analysis, "methods"), m),
                      *pack = view_at(json_get(analysis, "packs"), k);
    const struct json *cell = view_at(view_at(json_get(json_get(analysis, "accuracy"), "cells"), m), k);
    const struct json *cost = view_at(view_at(json_get(analysis, "cost"), m), k),
                      *seeds = json_get(json_get(analysis, "study"), "seeds");
    const char *seed = view_text(result, "seed");
    size_t s = 0;
    for (const struct json *x = json_first(seeds); x && json_string(x) && strcmp(json_string(x), seed) != 0;
         x = json_next(x))
        s++;
    put_field(view_text(method, "name"), 0);
    put_field(view_text(pack, "name"), 0);
    put_field(view_text(pack, "group"), 0);
    put_field(seed, 0);
    put_field(view_text(result, "state"), 0);
    put_number(view_item(json_get(cell, "seeds"), s), 0);
    put_number(view_number(cell, "val"), 0);
    put_field(view_text(cell, "chosen"), 0);
    put_number(view_number(cell, "lr"), 0);
    put_number(view_number(cell, "decay"), 0);
    put_number(view_number(method, "parameters"), 0);
    put_number(view_number(method, "parameters_head"), 0);
    put_number(view_number(cost, "tuning_seconds"), 0);
    put_number(view_number(cost, "train_seconds"), 0);
    put_field(view_text(pack, "fingerprint"), 0);
    put_field(view_text(result, "refit"), 0);
    put_field(view_text(result, "final"), 0);
    put_field(view_text(result, "reason"), 1);
}

static int print_csv(const struct json *analysis)
{
    fputs("method,pack,group,seed,state,accuracy,val_accuracy,chosen,lr,decay,parameters,parameters_head,"
          "tuning_seconds,"
          "train_seconds,fingerprint,refit,final,reason\r\n",
          stdout);
    for (const struct json *r = json_first(json_get(analysis, "results")); r; r = json_next(r))
        csv_row(analysis, r);
    return 0;
}

static void put_latex(const char *text)
{
    for (; *text; text++) {
        if (strchr("&%$#_{}", *text))
            printf("\\%c", *text);
        else if (*text == '~')
            printf("\\textasciitilde{}");
        else if (*text == '^')
            printf("\\textasciicircum{}");
        else if (*text == '\\')
            printf("\\textbackslash{}");
        else
            putchar(*text);
    }
}

static void latex_cell(double mean, double low, double high, int best)
{
    if (isnan(mean))
        printf(" & --");
    else
        printf(" & %s%.1f {\\scriptsize [%.1f, %.1f]}", best ? "\\cellcolor{gray!20}" : "", 100 * mean,
               100 * low, 100 * high);
}

/* booktabs and colortbl; the set that cannot be told from the best is shaded, as in the report. */
static int print_latex(const struct json *analysis)
{
    const struct json *accuracy = json_get(analysis, "accuracy"), *overall = json_get(accuracy, "overall"),
                      *packs = json_get(analysis, "packs"), *methods = json_get(analysis, "methods");
    printf("%% \\usepackage{booktabs,colortbl,xcolor}; shaded: not distinguishable from the best of its "
           "column\n");
    printf("\\begin{tabular}{lr");
    for (size_t k = 0; k <= json_count(packs); k++)
        printf("l");
    printf("}\n\\toprule\nMethod & Parameters");
    for (const struct json *p = json_first(packs); p; p = json_next(p)) {
        printf(" & ");
        put_latex(view_text(p, "name"));
    }
    printf(" & Mean \\\\\n\\midrule\n");
    for (size_t m = 0; m < json_count(methods); m++) {
        const struct json *cells = view_at(json_get(accuracy, "cells"), m);
        size_t k = 0;
        put_latex(view_text(view_at(methods, m), "name"));
        const double parameters = view_number(view_at(methods, m), "parameters");
        if (isnan(parameters))
            printf(" & --");
        else
            printf(" & %.0f", parameters);
        for (const struct json *c = json_first(cells); c; c = json_next(c), k++)
            latex_cell(view_number(c, "mean"), view_number(c, "low"), view_number(c, "high"),
                       view_holds(view_at(json_get(accuracy, "best"), k), m));
        latex_cell(view_item(json_get(overall, "mean"), m), view_item(json_get(overall, "low"), m),
                   view_item(json_get(overall, "high"), m), view_holds(json_get(overall, "best"), m));
        printf(" \\\\\n");
    }
    printf("\\bottomrule\n\\end{tabular}\n");
    return 0;
}

static int run(const struct settings *s)
{
    struct json *analysis = NULL;
    if (s->peft && !s->csv && !s->latex)
        return export_adapter(s);
    if (s->json + s->csv + s->latex != 1 || s->peft)
        return fail(ERR_USAGE,
                    "export needs one of --csv, --json and --latex for a study, or --peft FOLDER for a "
                    "trained method");
    TRY(view_build(&analysis, s));
    int rc = s->json ? json_print(analysis) : s->csv ? print_csv(analysis) : print_latex(analysis);
    json_destroy(analysis);
    return rc;
}

#define FIELD(name) offsetof(struct settings, name)
static const struct argument rows[] = {
    {"csv", 0, ARGUMENT_FLAG, FIELD(csv), 0, 0, NULL, NULL, "a line for each method, pack and seed"},
    {"latex", 0, ARGUMENT_FLAG, FIELD(latex), 0, 0, NULL, NULL, "the table of `vitro compare` for a paper"},
    {"json", 0, ARGUMENT_FLAG, FIELD(json), 0, 0, NULL, NULL, "the whole analysis (docs/analysis.md)"},
    {0}};
static const struct argument_group group = {"A study", rows};
static const struct argument adapter_rows[] = {
    {"peft", 0, ARGUMENT_TEXT, FIELD(peft), 0, 0, NULL, "FOLDER",
     "an adapter for Hugging Face peft: adapter_config.json and adapter_model.safetensors "
     "(docs/adapters.md)"},
    {"names", 0, ARGUMENT_CHOICE, FIELD(names), 0, 0, peft_names, "NAME",
     "the model that it is to be loaded on: `timm` (blocks.0.attn.qkv), `hf`, ViTForImageClassification of "
     "transformers 4 (query, key, value), or `hf5`, of transformers 5 (q_proj, k_proj, v_proj)"},
    {"base", 0, ARGUMENT_TEXT, FIELD(base), 0, 0, NULL, "TEXT",
     "what the adapter names as base_model_name_or_path"},
    {0}};
static const struct argument_group adapter_group = {"A trained method", adapter_rows};
static const struct argument_group *const groups[] = {
    &group, &group_view, &group_store, &adapter_group, &group_model, &group_plugins, &group_general, NULL};
const struct verb verb_export = {
    .name = "export",
    .summary = "a study's results, or a trained method, for other programs",
    .synopsis = "STUDY [STUDY...] --csv|--json|--latex, or METHODFILE --peft FOLDER",
    .about = "Prints results to stdout: as CSV, as the JSON document that every table and the report come "
             "from, or as a table "
             "for LaTeX. Or writes a trained method as an adapter that Hugging Face peft loads, head "
             "included, where "
             "peft "
             "has the method: lora, dora, pissa, adalora, ia3, vera, loha, lokr, oft, boft.",
    .examples = {"vitro export demo --csv > demo.csv", "vitro export demo --latex",
                 "vitro export lora.safetensors --peft lora-adapter --names hf"},
    .groups = groups,
    .rest_least = 1,
    .rest_most = -1,
    .rest_name = "STUDY or METHODFILE",
    .run = run,
};
