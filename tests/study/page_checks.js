/* page_checks.js - what a reader would try, tried on copies of the page by test_report_page.sh. Each check is a
 * sentence; those that do not hold are written into the element `verdict`, which the script reads. */
(async function() {
    'use strict';
    const failures = [], data = JSON.parse(document.getElementById('analysis').textContent);
    const kind = document.documentElement.getAttribute('data-kind');
    let checks = 0;
    const check = (sentence, holds, more) => {
        checks++;
        if (!holds)
            failures.push(sentence + (more === undefined ? '' : ' (' + more + ')'));
    };
    const all = (selector, inside) => Array.from((inside || document).querySelectorAll(selector));
    const one = (selector) => document.querySelector(selector);
    const pause = (ms) => new Promise((done) => setTimeout(done, ms));
    const press = (element, key) =>
        element.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
    const select = (element, value) => {
        element.value = value;
        element.dispatchEvent(new Event('change', {bubbles: true}));
    };
    const type = async (text) => {
        const box = one('#filter');
        box.value = text;
        box.dispatchEvent(new Event('input', {bubbles: true}));
        await pause(400);
    };
    const choice = (section, label) =>
        all(section + ' label').find((l) => l.textContent.indexOf(label) === 0).querySelector('select');
    const column = (n) =>
        all('#accuracy div.scroll tbody tr').map((tr) => parseFloat(tr.children[n].textContent));
    const known = (list) => list.filter((v) => !isNaN(v));
    const rises = (list) => list.every((v, i) => !i || list[i - 1] <= v);

    /* contrast of two CSS colours (WCAG 2.1) */
    const light = (colour) => {
        const c = colour.match(/[\d.]+/g)
                      .slice(0, 3)
                      .map((v) => v / 255)
                      .map((v) => v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4));
        return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2];
    };
    const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);

    /* ---- every page ---- */

    function everyPage() {
        const sections = all('main section');
        check('there are twelve sections', sections.length === 12, sections.length);
        check(
            'every section says how to read it and what it does not show',
            sections.every(
                (s) => s.querySelector('.how > p').textContent.length > 40 &&
                    s.querySelector('.not').textContent.length > 40));
        check(
            'every section is in the contents',
            sections.every((s) => one('#contents a[href="#' + s.id + '"]')));
        check(
            'every section shows something',
            sections.every((s) => s.querySelector('.body svg, .body table, .body .nothing')));
        check(
            'no section shows the text of a value that is not there',
            !/undefined|NaN|\[object|Infinity/.test(one('main').textContent));
        const ids = all('[id]').map((e) => e.id);
        check('names of elements are unique', new Set(ids).size === ids.length);
        check(
            'every control has a name',
            all('input, select').every((e) => e.closest('label') && e.closest('label').textContent.trim()) &&
                all('button').every((e) => e.textContent.trim() || e.getAttribute('aria-label')));
        check(
            'every drawing has a name',
            all('main svg:not([aria-hidden])').every((e) => e.getAttribute('aria-label')));
        check(
            'every mark that says something has a name',
            all('main svg .tipped').every((e) => e.getAttribute('aria-label')));
        check(
            'every table has a caption and its heads a scope',
            all('main table').every((t) => t.caption && all('th', t).every((th) => th.scope)));
        const badges = data.badges || [], flags = data.flags || [];
        check(
            'each badge is there with its sentence',
            all('.badges li').length === badges.length &&
                badges.every((b, i) => all('.badges li')[i].textContent.indexOf(b.text) >= 0));
        check(
            'each flag is there',
            flags.every(
                (f) => one('.flags') &&
                    one('.flags').textContent.toLowerCase().indexOf(f.toLowerCase().slice(0, 30)) >= 0));
        check(
            'the page is no wider than the window', document.documentElement.scrollWidth <= window.innerWidth,
            document.documentElement.scrollWidth + ' > ' + window.innerWidth);
    }

    async function themes() {
        const theme = choice('#bar', 'Theme'), seen = {};
        for (const name of ['dark', 'light']) {
            select(theme, name);
            await pause(50);
            const paper = getComputedStyle(document.body).backgroundColor;
            seen[name] = paper;
            check(
                'text reads well on ' + name + ' paper',
                contrast(getComputedStyle(one('h1')).color, paper) >= 7);
            check(
                'quiet text reads well on ' + name + ' paper',
                contrast(getComputedStyle(one('.how .not')).color, paper) >= 4.5);
            const inside = all('main svg text.in')
                               .map((t) => [t, t.previousElementSibling])
                               .filter((x) => x[1].classList.contains('cell'));
            check(
                'numbers in cells read well on ' + name + ' paper',
                inside.every((x) => contrast(getComputedStyle(x[0]).fill, getComputedStyle(x[1]).fill) >= 4),
                Math.min(...inside.map(
                    (x) => contrast(getComputedStyle(x[0]).fill, getComputedStyle(x[1]).fill))));
            everyPage();
        }
        check('dark paper is darker than light', light(seen.dark) < 0.05 && light(seen.light) > 0.8);
    }

    /* ---- the sample: everything is there ---- */

    function plots() {
        const marks = (id, selector) => all('#figure-' + id + ' ' + selector).length, M = data.methods.length,
              P = data.packs.length;
        const means = data.accuracy.overall.mean.filter((v) => v !== null).length;
        check(
            'the scatter has a mark for each method with a mean', marks('tradeoff', 'path.point') === means,
            marks('tradeoff', 'path.point'));
        check(
            'the scatter has their intervals and a Pareto line',
            marks('tradeoff', '.bars line') >= means && marks('tradeoff', '.pareto') === 1);
        check(
            'what costs nothing has its place on a broken axis',
            marks('tradeoff', '.zone') === 1 && marks('tradeoff', '.break') === 1);
        check(
            'the rank maps have a cell for each method and rank', marks('ranks', 'rect.cell') === 2 * M * M,
            marks('ranks', 'rect.cell'));
        check(
            'the map of pairs has two cells a pair',
            marks('pairs', 'rect.cell.tipped') === 2 * data.pairs.length);
        check(
            'differences that remain after Holm have a dot',
            marks('pairs', '.dot') === 2 * data.pairs.filter((p) => p.p_holm < 0.05).length);
        check(
            'the map of agreement has the control on its diagonal',
            marks('agreement', '.dot') === data.agreement.mean.same_method.filter((v) => v !== null).length);
        check(
            'ensembles have dots, intervals and the control',
            marks('ensembles', 'path.point') === 4 * (P + 1) && marks('ensembles', 'line.bar') === 4 * P,
            marks('ensembles', 'path.point'));
        check(
            'the size of an ensemble has its curve and its control',
            marks('ensemble-size', 'path.curve') === 2);
        check(
            'calibration has two marks a method',
            marks('calibration', 'circle.point') > 0 && marks('calibration', 'circle.point') % 2 === 0);
        check(
            'reliability has a diagram a method',
            marks('reliability', 'svg[role=group]') === data.calibration.filter((row) => row[0]).length);
        check('expected best has a curve a method', marks('expected', 'g.line') >= means);
        const trials = data.tuning.reduce((n, row) => n + row[0].trials.length, 0);
        check(
            'every trial of a pack is drawn', marks('trials', 'path.tipped') === trials,
            marks('trials', 'path.tipped') + ' of ' + trials);
        check(
            'each method’s chosen trial is drawn large',
            marks('trials', 'path.mark.point') ===
                data.tuning.filter((row) => row[0].trials.some((t) => t.chosen)).length);
    }

    function table() {
        const M = data.methods.length, rows = all('#accuracy div.scroll tbody tr');
        check('the table has a row a method', rows.length === M);
        check(
            'it shades every cell that is not distinguishable from the best',
            all('#accuracy div.scroll td.best').length ===
                data.accuracy.best.reduce((n, b) => n + b.length, 0) + data.accuracy.overall.best.length,
            all('#accuracy div.scroll td.best').length);
        const missing =
            data.accuracy.cells.reduce((n, row) => n + row.filter((c) => c.mean === null).length, 0);
        check(
            'cells without a result are hatched',
            all('#accuracy div.scroll td.missing:not(.mean)').length === missing);
        const hatched = one('#accuracy div.scroll td.missing:not(.mean)');
        hatched.dispatchEvent(new MouseEvent('mouseover', {bubbles: true, clientX: 50, clientY: 50}));
        check(
            'a hatched cell gives its reason',
            !one('#tip').hidden && one('#tip').textContent.indexOf('infinite') >= 0, one('#tip').textContent);
        document.body.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}));

        const head = () => all('#accuracy div.scroll thead tr:last-child th')
                               .find((th) => th.textContent.indexOf('all packs') === 0);
        const at = () => Array.from(head().parentNode.children).indexOf(head());
        head().querySelector('button').click();
        check(
            'a click on a head sorts up',
            head().getAttribute('aria-sort') === 'ascending' && rises(known(column(at()))));
        head().querySelector('button').click();
        check(
            'another click sorts down',
            head().getAttribute('aria-sort') === 'descending' && rises(known(column(at())).reverse()));
        check('what has no mean stays last', isNaN(column(at())[M - 1]));
        check('the sorted head keeps the focus', document.activeElement === head().querySelector('button'));
        const cost = () => all('#table-cost tbody tr').map((tr) => tr.children[2].textContent);
        const before = cost();
        all('#table-cost button.sort')[0].click();
        check(
            'other tables sort too',
            cost().length === before.length && rises(all('#table-cost tbody th').map((e) => e.textContent)));
        const links = all('#accuracy a[download]')
                          .map((a) => decodeURIComponent(a.href.slice(a.href.indexOf(',') + 1)));
        check(
            'the CSV has a row for each method and pack',
            links[0].trim().split('\r\n').length === M * data.packs.length + 1);
        check(
            'the LaTeX has a row for each method', links[1].split('\\\\\n').length === M + 2,
            links[1].split('\\\\\n').length);
    }

    async function filters() {
        await type('LORA');
        check(
            'a filter leaves the methods it names',
            all('#accuracy div.scroll tbody tr').length === 1 &&
                all('#figure-tradeoff path.point').length === 1);
        check(
            'and says how many', one('#bar .shown').textContent.indexOf('1 of ' + data.methods.length) === 0);
        await type('lora, vpt');
        check('two words leave the methods of both', all('#accuracy div.scroll tbody tr').length === 2);
        await type('no such method');
        check(
            'a filter that leaves nothing says so',
            all('.nothing').length >= 8 && window.problems.length === 0);
        await type('');
        select(choice('#bar', 'Packs'), 'group:1');
        const group = data.accuracy.groups[1];
        check(
            'a group leaves its packs',
            all('#accuracy div.scroll thead tr:last-child th').length ===
                5 + group.packs.length + (group.packs.length > 1 ? 1 : 0));
        select(choice('#bar', 'Packs'), 'pack:2');
        check(
            'a pack sets the sections that show one pack',
            choice('#tuning', 'Pack').value === '2' && choice('#agreement', 'Pack').value === '2');
        select(choice('#bar', 'Packs'), 'all');
        check('and all comes back', all('#accuracy div.scroll tbody tr').length === data.methods.length);
    }

    function choices() {
        const sections =
            ['#tradeoff', '#ranks', '#pairs', '#agreement', '#ensembles', '#calibration', '#tuning'];
        sections.forEach((id) => all(id + ' select').forEach((s) => {
            const first = s.value;
            Array.from(s.options).forEach((o) => {
                s.disabled = false;
                select(s, o.value);
                check(
                    'the choice ' + o.textContent + ' of ' + id + ' draws something',
                    all(id + ' .plot').every((p) => p.querySelector('.tipped')));
            });
            select(s, first);
        }));
        check(
            'no choice shows the text of a value that is not there',
            !/undefined|NaN|\[object/.test(
                all('[aria-label]').map((e) => e.getAttribute('aria-label')).join()));
        all('#figure-pairs rect.cell.pressable')[3].dispatchEvent(new MouseEvent('click', {bubbles: true}));
        check(
            'a chosen pair shows McNemar’s test on every pack',
            all('#pairs .detail tbody tr').length === data.packs.length);
        all('.more button')[0].click();
        check('a long table opens', all('#table-ledger tbody tr').length === data.ledger.length);
    }

    function keyboard() {
        ['#figure-tradeoff', '#figure-ranks', '#figure-pairs', '#figure-agreement', '#figure-ensembles',
         '#figure-calibration', '#figure-reliability', '#figure-expected', '#figure-trials',
         '#accuracy div.scroll']
            .forEach((place) => {
                const stops = all(place + ' .tipped[tabindex="0"]'), inside = all(place + ' .tipped').length;
                check(
                    'the tabulator key stops in ' + place, stops.length >= 1 && stops.length <= 31,
                    stops.length);
                stops[0].focus();
                check(
                    'focus shows what a mark of ' + place + ' says',
                    document.activeElement === stops[0] && !one('#tip').hidden &&
                        one('#tip').textContent.length > 8);
                const said = one('#tip').textContent;
                press(
                    stops[0],
                    place === '#figure-expected' || place === '#figure-calibration' ? 'ArrowDown' :
                                                                                      'ArrowRight');
                check(
                    'arrow keys walk in ' + place,
                    inside < 2 || (document.activeElement !== stops[0] && one('#tip').textContent !== said));
                check(
                    'one stop stays in ' + place,
                    all(place + ' .tipped[tabindex="0"]').length === stops.length);
                press(document.activeElement, 'Escape');
                check('escape hides the tip in ' + place, one('#tip').hidden);
            });
        const cell = one('#figure-pairs rect.cell.pressable');
        cell.focus();
        press(cell, 'Enter');
        check('enter chooses a pair', one('#pairs .detail h4').textContent.length > 3);
        check('the first link skips to the report', one('body a').getAttribute('href') === '#report');
        const button = one('#table-results .command button'), command = [];
        const kept = document.execCommand;
        document.execCommand = () => command.push(document.activeElement.value);
        Object.defineProperty(
            navigator, 'clipboard',
            {value: {writeText: (t) => Promise.resolve(command.push(t))}, configurable: true});
        button.click();
        document.execCommand = kept;
        check(
            'the button copies the whole command', /^vitro repro [0-9a-f]{64}$/.test(command[0]), command[0]);
    }

    function saved() {
        all('figcaption button, button.link')
            .forEach((b) => b.click()); /* what the page's own policy forbids would complain */
        all('figure').forEach((f) => {
            const svg = f.querySelector('.plot svg[role=group]'), text = VitroReport.standalone(svg);
            const read = new DOMParser().parseFromString(text, 'image/svg+xml');
            check(
                f.id + ' can be saved as an SVG file',
                !read.querySelector('parsererror') && text.indexOf('var(') < 0 && text.indexOf('xmlns=') > 0);
        });
    }

    /* ---- the others ---- */

    function hostile() {
        check(
            'no text became an element',
            all('img, iframe, object, embed, b[onclick], main script').length === 0);
        check('no text became a script', window.hacked === undefined);
        check(
            'the text is there as it was',
            document.title.indexOf('<\/script><script>') >= 0 && one('h1').textContent === data.study.name &&
                all('#accuracy tbody th').some((th) => th.textContent.indexOf('onerror') >= 0));
        const csv = decodeURIComponent(one('#accuracy a[download]').href);
        check(
            'a spreadsheet takes no name for a formula',
            csv.indexOf("'=cmd") > 0 && !/[,\n]"?=cmd/.test(csv));
    }

    function sealed() {
        check('a sealed study says so', one('.sealed').textContent.indexOf('still sealed') > 0);
        check('and shows no accuracy', all('#accuracy table, #figure-tradeoff, #figure-pairs').length === 0);
        check(
            'but the search',
            all('#figure-expected g.line').length === data.methods.length &&
                all('#figure-trials path.tipped').length > 0);
    }

    function bare() {
        check('a document without parts has sections that say so', all('.nothing').length >= 10);
    }

    function single() {
        check(
            'one method has its accuracy and its cost',
            all('#accuracy div.scroll tbody tr').length === 1 &&
                all('#figure-tradeoff path.point').length === 1);
        check(
            'and nothing to be ranked with',
            one('#ranks .nothing') && one('#pairs .nothing') && one('#ensembles .nothing'));
    }

    try {
        await pause(100);
        everyPage();
        if (kind === 'sample') {
            plots();
            table();
            await filters();
            choices();
            keyboard();
            saved();
        }
        ({hostile, sealed, single, bare, sample: () => 0})[kind]();
        await themes();
    } catch (e) {
        failures.push('the checks end: ' + (e.stack || e));
    }
    check('nothing complained', window.problems.length === 0, window.problems.join('; '));
    const verdict = document.createElement('pre');
    verdict.id = 'verdict';
    verdict.textContent = '\n@verdict ' + (failures.length ? 'failed' : 'passed') + ' ' + checks + '\n' +
        failures.map((f) => '@failure ' + f + '\n').join('');
    document.body.appendChild(verdict);
})();
