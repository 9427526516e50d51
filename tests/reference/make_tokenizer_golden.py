"""Golden tokens for core/clip/tokenizer.c, by open_clip's SimpleTokenizer (ftfy, regex; torch is not needed beyond
its import). Usage:

    make_tokenizer_golden.py FOLDER            writes clip_merges.txt and clip_tokens.json below FOLDER
    make_tokenizer_golden.py --parity PROGRAM VOCABULARY [COUNT]
        PROGRAM (tests/clip/tokenize_lines) on COUNT (10,000) generated texts against the same tokenizer with
        the real VOCABULARY (bpe_simple_vocab_16e6.txt.gz)

The small list of merges is learnt here from a text written for it, so that the golden file needs no vocabulary
of anybody else's. Texts are drawn from every script that Unicode 14 has letters of, with emoji, marks, digits,
white space, cases, quotes, references and contractions; not drawn are texts whose encoding looks mistaken,
which ftfy repairs by guessing, and references by names other than six."""
import collections
import gzip
import json
import os
import random
import subprocess
import sys
import tempfile
import unicodedata

import ftfy
import regex as re
from open_clip.tokenizer import SimpleTokenizer, bytes_to_unicode

TEXT = """a photo of a cat. a photo of the dogs, a painting of many small red flowers in a garden; it's what they're
seeing there. We'll take 12 photographs of the lighthouse at night, an old drawing of a sailing ship, a blurry picture
of a traffic sign, satellite images of forests and of rivers, annual crops, highways and industrial buildings. The
texture of woven cloth is rough, the light is dim, and I've found that he'd rather not count the cells. """


def merges(count):
    """At most so many byte-pair merges of TEXT, most frequent first, ties by spelling."""
    letters = bytes_to_unicode()
    words = collections.Counter()
    for word in TEXT.lower().split():
        spelled = "".join(letters[b] for b in word.encode())
        words[tuple(spelled[:-1]) + (spelled[-1] + "</w>",)] += 1
    made = []
    while len(made) < count:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        made.append(best)
        joined = collections.Counter()
        for word, n in words.items():
            out, i = [], 0
            while i < len(word):
                if word[i : i + 2] == best:
                    out.append(word[i] + word[i + 1])
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            joined[tuple(out)] += n
        words = joined
    return made


def scripts():
    """Letters, marks and digits of each block of 128 code points that has any."""
    blocks = collections.defaultdict(list)
    for c in range(0x20, 0x20000):
        if unicodedata.category(chr(c))[0] in "LMNPSZ" and not 0xD800 <= c < 0xE000:
            blocks[c // 128].append(chr(c))
    return list(blocks.values())


EMOJI = ["😀", "🐈", "👩‍🔬", "🏳️‍🌈", "👍🏽", "❤️", "🇺🇳", "☕", "1️⃣", "🧑🏿‍🚀"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u2003", "\u3000", "\u2028", " \n "]
PIECES = ["it's", "they're", "I've", "we'll", "he'd", "can't", "I'm", "don’t", "“quoted”", "ﬁne ﬂour", "ＦＵＬＬ ｗｉｄｔｈ",
          "&amp;", "&lt;b&gt;", "&#233;", "&#x3b1;", "&quot;", "x&y", "ΣΊΣΥΦΟΣ ΌΔΟΣ", "İstanbul", "STRASSE straße", "e\u0301",
          "12,345.67", "C3PO", "--", "...", "!?", "<|startoftext|>", "<|endoftext|>", "a<|b", "#tag @user", "\u200b", "ŉ", "ǆ",
          "½ ² ٣ 四", "naïve café", "日本語のテキスト", "한국어", "हिन्दी", "ไทย", "עברית", "العربية", "Ελληνικά", "русский", "A photo of a CAT."]


def texts(count, seed):
    g = random.Random(seed)
    blocks = scripts()
    made = []
    while len(made) < count:
        parts = []
        for _ in range(g.randrange(1, 7)):
            kind = g.randrange(5)
            if kind == 0:
                parts.append(g.choice(PIECES))
            elif kind == 1:
                parts.append("".join(g.choice(EMOJI) for _ in range(g.randrange(1, 3))))
            elif kind == 2:
                block = g.choice(blocks)
                parts.append("".join(g.choice(block) for _ in range(g.randrange(1, 9))))
            elif kind == 3:
                word = "".join(g.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(g.randrange(1, 10)))
                parts.append(g.choice([str.lower, str.upper, str.title])(word))
            else:
                parts.append(g.choice(TEXT.split()))
            parts.append(g.choice(SPACES) if g.random() < 0.8 else "")
        text = "".join(parts)
        if ftfy.fix_encoding(text) == text:
            made.append(text)
    return made


def open_tokenizer(path):
    """With the names that OpenAI gives the two marks; open_clip's are others."""
    t = SimpleTokenizer(bpe_path=path)
    for theirs, name in [("<start_of_text>", "<|startoftext|>"), ("<end_of_text>", "<|endoftext|>")]:
        t.encoder[name] = t.encoder.pop(theirs)
        t.cache[name] = name
        pattern = t.pat.pattern.replace(theirs, re.escape(name))
        t.pat = re.compile(pattern, re.IGNORECASE)
    return t


def golden(folder):
    made = merges(300)
    with open(os.path.join(folder, "clip_merges.txt"), "w", encoding="utf-8") as f:
        f.write("merges learnt by make_tokenizer_golden.py\n")
        f.writelines(f"{a} {b}\n" for a, b in made)
    with tempfile.NamedTemporaryFile(suffix=".gz") as packed:
        with gzip.open(packed.name, "wb") as f:
            f.write(open(os.path.join(folder, "clip_merges.txt"), "rb").read().rstrip(b"\n"))
        tokenizer = open_tokenizer(packed.name)
        rows = [{"text": t, "tokens": tokenizer.encode(t)} for t in ["", " ", "cat"] + PIECES + texts(200, 1)]
    with open(os.path.join(folder, "clip_tokens.json"), "w", encoding="utf-8") as f:
        json.dump({"size": 512 + len(made) + 2, "rows": rows}, f, ensure_ascii=True)


def parity(program, vocabulary, count):
    tokenizer = open_tokenizer(vocabulary)
    rows = PIECES + texts(count - len(PIECES), 2)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
        json.dump(rows, f)
        f.flush()
        out = subprocess.run([program, vocabulary, f.name], check=True, capture_output=True, text=True).stdout
    bad = 0
    for text, line in zip(rows, out.splitlines(), strict=True):
        ours, theirs = [int(n) for n in line.split()][1:-1], tokenizer.encode(text)
        if ours != theirs:
            bad += 1
            if bad <= 20:
                print(ascii(text), ours, theirs)
    print(f"{len(rows) - bad} of {len(rows)} texts have the same tokens")
    return bad != 0


if __name__ == "__main__":
    if len(sys.argv) >= 4 and sys.argv[1] == "--parity":
        sys.exit(parity(sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 10000))
    golden(sys.argv[1])
