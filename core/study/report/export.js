/* export.js - the accuracies as CSV and LaTeX, and all data as JSON, to take away. */
(function(R) {
'use strict';
const el = R.el;

const csvField = (v) => {
    if (typeof v === 'number')
        return String(v);
    let text = v === null || v === undefined ? '' : String(v);
    if (/^[=+\-@\t\r]/.test(text))
        text = "'" + text; /* a spreadsheet must not take a name for a formula */
    return /[",\n\r]/.test(text) ? '"' + text.replace(/"/g, '""') + '"' : text;
};
R.csv = () => {
    const head =
        ['study', 'backbone', 'method', 'pack', 'group', 'accuracy', 'low', 'high', 'deviation', 'seeds'];
    const tail = [
        'not_distinguishable_from_best', 'state', 'reason', 'chosen', 'lr', 'decay', 'edges', 'val_accuracy',
        'parameters', 'parameters_of_head', 'fingerprint'
    ];
    const rows = [head.concat(R.seeds.map((s) => 'seed_' + s), tail)];
    R.methods.forEach((method, m) => R.packs.forEach((pack, p) => {
        const c = R.cell(m, p), seeds = R.seeds.map((_, s) => (c.seeds || [])[s]);
        const first = [
            R.study.name, (R.study.backbone || {}).name, method.name, pack.name, pack.group, c.mean, c.low,
            c.high, c.deviation, R.runs(m, p)
        ];
        const last = [
            R.isBest(m, p) ? 1 : 0, c.state, c.reason, c.chosen, c.lr, c.decay, c.edges, c.val,
            method.parameters, method.parameters_head, pack.fingerprint
        ];
        rows.push(first.concat(seeds, last));
    }));
    return rows.map((r) => r.map(csvField).join(',')).join('\r\n') + '\r\n';
};

const SPECIAL = {
    '\\': '\\textbackslash{}',
    '~': '\\textasciitilde{}',
    '^': '\\textasciicircum{}'
};
const tex = (text) => String(text).replace(/[\\~^&%$#_{}]/g, (c) => SPECIAL[c] || '\\' + c);
R.latex = () => {
    const many = R.packs.length > 1, means = R.overall.mean || [];
    const value = (v, best) => R.is(v) ? (best ? '\\cellcolor{black!10}' : '') + (100 * v).toFixed(1) : '--';
    const line = (m) => {
        const size = R.methods[m].parameters,
              cells = R.packs.map((_, p) => value(R.cell(m, p).mean, R.isBest(m, p)));
        if (many)
            cells.push(value(means[m], R.isBest(m, -1)));
        return [tex(R.methods[m].name), R.is(size) ? (size / 1e6).toFixed(3) : '--'].concat(cells).join(
                   ' & ') +
            ' \\\\';
    };
    const heads = ['method', 'param.\\,(M)'].concat(
        R.packs.map((p) => '\\rotatebox{90}{' + tex(p.name) + '}'), many ? ['mean'] : []);
    return [
        '% ' + String(R.study.name).replace(/\s+/g, ' ') + ', recipe ' +
            String(R.study.recipe).replace(/\s+/g, ' '),
        '% needs booktabs, rotating and xcolor with the option table; shaded: not distinguishable from the best',
        '\\begin{tabular}{l' +
            'r'.repeat(heads.length - 1) + '}',
        '\\toprule',
        heads.join(' & ') + ' \\\\',
        '\\midrule',
    ].concat(R.ordered(R.range(R.methods.length)).map(line), ['\\bottomrule', '\\end{tabular}', ''])
        .join('\n');
};

const dataLink = (text, name, type, body) =>
    el('a', {download: name, href: 'data:' + type + ';charset=utf-8,' + encodeURIComponent(body)}, text);
R.dataLinks = () => el(
    'p', {class: 'links'}, 'Take away: ', dataLink('CSV', R.fileName('accuracy', 'csv'), 'text/csv', R.csv()),
    ' one row a method and pack · ',
    dataLink('LaTeX', R.fileName('accuracy', 'tex'), 'text/x-tex', R.latex()), ' the table · ',
    el('button', {
        type: 'button',
        class: 'link',
        click: () => R.download(
            R.fileName('analysis', 'json'), 'application/json',
            document.getElementById('analysis').textContent)
    },
       'JSON'),
    ' all that this page shows');
})(VitroReport);
