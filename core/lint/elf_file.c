/* elf_file.c - see elf_file.h. Every offset is checked against the file before it is followed. */
#include "elf_file.h"

#include "error.h"
#include "file.h"
#include "memory.h"

#include <elf.h>
#include <string.h>

struct bytes {
    struct file_map map;
    const char *path;
};

static int damaged(const struct bytes *b, const char *what)
{
    return fail(ERR_PLUGIN, "%s: its %s lead out of the file", b->path, what);
}

/* Copies `size` bytes from `at`; what an ELF file holds may be aligned to nothing. */
static int copy(const struct bytes *b, uint64_t at, void *out, size_t size, const char *what)
{
    if (at > b->map.size || size > b->map.size - at)
        return damaged(b, what);
    memcpy(out, b->map.bytes + at, size);
    return 0;
}

static int string_at(const struct bytes *b, const Elf64_Shdr *table, uint64_t offset, const char **out)
{
    uint64_t end = table->sh_offset + table->sh_size;
    if (end < table->sh_offset || end > b->map.size || offset >= table->sh_size)
        return damaged(b, "names");
    *out = (const char *)b->map.bytes + table->sh_offset + offset;
    if (!memchr(*out, 0, table->sh_size - offset))
        return damaged(b, "names");
    return 0;
}

static void add(struct elf_names *names, const char *name)
{
    if (names->count < ELF_NAMES)
        names->name[names->count] = name;
    names->count++;
}

/* What AddressSanitizer exports from whatever it instruments is not the plugin's. */
static int is_of_a_sanitizer(const char *name)
{
    return !strncmp(name, "__odr_asan", 10) || !strncmp(name, "__asan_", 7);
}

static int is_export(const Elf64_Sym *s)
{
    int bind = ELF64_ST_BIND(s->st_info), seen = ELF64_ST_VISIBILITY(s->st_other);
    return s->st_shndx != SHN_UNDEF && (bind == STB_GLOBAL || bind == STB_WEAK || bind == STB_GNU_UNIQUE) &&
           (seen == STV_DEFAULT || seen == STV_PROTECTED);
}

static int read_symbols(const struct bytes *b, const Elf64_Shdr *table, const Elf64_Shdr *names,
                        struct elf_file *f)
{
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= table->sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym symbol;
        const char *name = NULL;
        TRY(copy(b, table->sh_offset + at, &symbol, sizeof symbol, "symbols"));
        if (!is_export(&symbol))
            continue;
        TRY(string_at(b, names, symbol.st_name, &name));
        if (!is_of_a_sanitizer(name))
            add(&f->exports, name);
    }
    return 0;
}

static int read_needs(const struct bytes *b, const Elf64_Shdr *table, const Elf64_Shdr *names,
                      struct elf_file *f)
{
    for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= table->sh_size; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn entry;
        const char *name = NULL;
        TRY(copy(b, table->sh_offset + at, &entry, sizeof entry, "libraries"));
        if (entry.d_tag == DT_NULL)
            return 0;
        if (entry.d_tag != DT_NEEDED)
            continue;
        TRY(string_at(b, names, entry.d_un.d_val, &name));
        add(&f->needs, name);
    }
    return 0;
}

static int read_section(const struct bytes *b, const Elf64_Ehdr *head, uint64_t i, Elf64_Shdr *out)
{
    if (i >= head->e_shnum)
        return damaged(b, "sections");
    return copy(b, head->e_shoff + i * sizeof *out, out, sizeof *out, "sections");
}

static int read_head(const struct bytes *b, Elf64_Ehdr *head)
{
    if (b->map.size < sizeof *head || memcmp(b->map.bytes, ELFMAG, SELFMAG) != 0)
        return fail(ERR_PLUGIN, "%s: it is no ELF file", b->path);
    memcpy(head, b->map.bytes, sizeof *head);
    if (head->e_ident[EI_CLASS] != ELFCLASS64 || head->e_ident[EI_DATA] != ELFDATA2LSB ||
        head->e_type != ET_DYN)
        return fail(ERR_PLUGIN, "%s: it is no 64-bit little-endian shared object", b->path);
    if (!head->e_shnum || head->e_shentsize != sizeof(Elf64_Shdr))
        return fail(ERR_PLUGIN, "%s: its section headers were stripped, so its tables cannot be read",
                    b->path);
    return 0;
}

static int read_tables(const struct bytes *b, struct elf_file *f)
{
    Elf64_Ehdr head;
    TRY(read_head(b, &head));
    for (uint64_t i = 0; i < head.e_shnum; i++) {
        Elf64_Shdr section, names;
        TRY(read_section(b, &head, i, &section));
        if (section.sh_type != SHT_DYNSYM && section.sh_type != SHT_DYNAMIC)
            continue;
        TRY(read_section(b, &head, section.sh_link, &names));
        TRY(section.sh_type == SHT_DYNSYM ? read_symbols(b, &section, &names, f)
                                          : read_needs(b, &section, &names, f));
    }
    return 0;
}

int elf_file_open(struct elf_file *f, const char *path)
{
    struct bytes *b = mem_alloc(1, sizeof *b);
    *f = (struct elf_file){.map = b};
    if (!b)
        return ERR_MEMORY;
    b->path = path;
    int rc = file_map(&b->map, path);
    if (rc == 0)
        rc = read_tables(b, f);
    if (rc < 0)
        elf_file_close(f);
    return rc;
}

void elf_file_close(struct elf_file *f)
{
    struct bytes *b = f->map;
    if (b)
        file_unmap(&b->map);
    mem_free(b);
    *f = (struct elf_file){0};
}
