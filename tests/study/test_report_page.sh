#!/usr/bin/env bash
# test_report_page.sh FOLDER COMMAND...: the report page in a browser. COMMAND writes the page of a document
# (report_page); FOLDER has golden/ and the checks, which run inside copies of the page and write a verdict
# into them. Exit status 77 where there is no Chromium.
set -euo pipefail
here=$1
shift

browser=
for name in chromium chromium-browser google-chrome; do
    if command -v "$name" >/dev/null; then
        browser=$name
        break
    fi
done
if [ -z "$browser" ]; then
    echo "no chromium: the page was not tried in a browser" >&2
    exit 77
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Names that would be markup, script or a formula if anything let them.
hostile() {
    sed -e 's|"name":"vtab-sample"|"name":"</script><script>window.hacked=1</script><!--"|' \
        -e 's|"name":"lora"|"name":"<img src=x onerror=window.hacked=2>"|' \
        -e "s|\"name\":\"ssf\"|\"name\":\"=cmd()\"|" \
        -e 's|"reason":"the loss[^"]*"|"reason":"\\"><b onclick=window.hacked=3>\&lt;"|' \
        -e 's|"text":"Every|"text":"</b><script>window.hacked=4</script>Every|' "$here/golden/analysis_sample.json"
}
hostile >"$scratch/hostile.json"
printf '{"schema":"vitro.analysis/1","study":{"name":"bare"}}' >"$scratch/bare.json"

failed=0
try() { # KIND DOCUMENT WIDTH
    "${command[@]}" "$2" "$scratch/plain.html"
    {
        sed -e "s|<html lang=\"en\"|& data-kind=\"$1\"|" -e '/^<head>$/q' "$scratch/plain.html"
        printf '<script>\n'
        cat "$here/page_prelude.js"
        printf '</script>\n'
        sed -e '1,/^<head>$/d' -e '/^<\/body>$/,$d' "$scratch/plain.html"
        printf '<script>\n'
        cat "$here/page_checks.js"
        printf '</script>\n</body>\n</html>\n'
    } >"$scratch/page.html"
    HOME=$scratch timeout 120 "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
        --user-data-dir="$scratch/profile" --window-size="$3,1200" --virtual-time-budget=30000 --dump-dom \
        "file://$scratch/page.html" >"$scratch/dom.html" 2>"$scratch/browser.log" || true
    if grep -q '^@verdict passed' "$scratch/dom.html"; then
        echo "$1, $3 pixels: $(sed -n 's/^@verdict passed \([0-9]*\).*/\1/p' "$scratch/dom.html") checks hold"
    else
        failed=1
        echo "$1, $3 pixels:" >&2
        grep -E '^@(verdict|failure)' "$scratch/dom.html" >&2 || { echo 'the page reached no verdict' && tail -5 "$scratch/browser.log"; } >&2
    fi
}
command=("$@")
try sample "$here/golden/analysis_sample.json" 1440
try sample "$here/golden/analysis_sample.json" 500
try hostile "$scratch/hostile.json" 1200
try single "$here/golden/analysis_one.json" 1000
try bare "$scratch/bare.json" 1000
try sealed "$here/golden/analysis_sealed.json" 480
exit $failed
