/* ledger.js - the tables behind the figures: cost, what was compared, openings of test splits, results. */
(function(R) {
'use strict';
const el = R.el;

/* columns of R.table: what stands in a row, how it is written, what its head says on request */
const text = (title, key, show, hint) => ({title, key, show, hint});
const number = (title, key, show, hint) =>
    ({title, key, show: show || ((r) => R.count(key(r))), hint, number: true});
const mono = (title, key, show, hint) => ({title, key, show, hint, mono: true});
const head = (column) => Object.assign({head: true}, column);
const warning = (what) => el('span', {class: 'warning'}, what);

const name = (list, what) => (list[R.find(list, what)] || {}).name || what;
const seed =
    number('seed', (row) => row.seed === undefined ? null : String(row.seed), (row) => String(row.seed));

/* rows that name a method and a pack which the filter leaves */
const shows = (row) => {
    const m = R.find(R.methods, row.method), p = R.find(R.packs, row.pack);
    return (m < 0 || R.shownMethods().indexOf(m) >= 0) && (p < 0 || R.shownPacks().indexOf(p) >= 0);
};
R.drawCost = () => {
    const body = R.section(
        'cost', 'Cost',
        'Means over the packs that the bar at the top selects; the search is a sum over them. Seconds and ' +
            'rates are wall-clock on the device named in the row.',
        'a comparison between devices: rows of different devices must not be set against each other, and a ' +
            'busy machine is slower. Memory is the peak of the whole process.');
    const shown = () => R.shownPacks().length;
    const search = (r) => d3.sum(r.costs, (c) => c.tuning_seconds || 0);
    const devices = (r) =>
        r.costs.map((c) => c.device).filter((d, i, all) => d && all.indexOf(d) === i).join('; ');
    const mean = (title, key, write, hint) => {
        const of = (r) => R.mean(r.costs.map((c) => c[key]));
        return number(title, of, (r) => write(of(r)), hint);
    };
    const packs = (r) =>
        r.costs.length < shown() ? warning(r.costs.length + ' of ' + shown()) : String(shown());
    const columns = [
        head(text('method', (r) => R.methods[r.m].name, (r) => R.methodName(r.m))),
        number('packs', (r) => r.costs.length, packs, 'packs that this row is a mean over'),
        number('search', search, (r) => R.seconds(search(r)), 'all trials on these packs'),
        mean('one training', 'train_seconds', R.seconds),
        mean('images/s, training', 'images_a_second', R.count),
        mean('images/s, test', 'test_images_a_second', R.count),
        mean('host memory', 'host_bytes', R.bytes, 'peak'),
        mean('device memory', 'device_bytes', R.bytes, 'peak'),
        mean('stored', 'stored_bytes', R.bytes, 'the trained method’s file'),
        text('device', devices, (r) => el('span', {class: 'wide'}, devices(r))),
    ];
    const costs = (m) => R.shownPacks().map((p) => R.at(R.data.cost, m, p)).filter(Boolean);
    R.table(
        body, 'cost', 'What each method costs', columns,
        () => R.shownMethods().map((m) => ({m, costs: costs(m)})).filter((r) => r.costs.length));
};

function packTable(body) {
    const of = (p) => R.packs[p];
    const columns = [
        head(text('pack', (p) => of(p).name)),
        text('task', (p) => of(p).task),
        text('group', (p) => of(p).group),
        number('classes', (p) => of(p).classes),
        number('pixels', (p) => of(p).image),
        number('train', (p) => of(p).train),
        number('val', (p) => of(p).val),
        number(
            'test', (p) => of(p).test,
            (p) => of(p).sealed ? R.count(of(p).test) + ', sealed' : R.count(of(p).test)),
        text('normalised', (p) => of(p).normalise),
        mono(
            'fingerprint', (p) => of(p).fingerprint,
            (p) => R.hash(of(p).fingerprint, 'fingerprint of ' + of(p).name)),
    ];
    R.table(body, 'packs', 'Packs', columns, R.shownPacks);
}

function methodTable(body) {
    const of = (m) => R.methods[m], spread = (m) => of(m).parameters_range || [];
    const range = (m) => R.is(spread(m)[0]) ? R.count(spread(m)[0]) + ' – ' + R.count(spread(m)[1]) : null;
    const points = (m) => R.is(of(m).space_size) ? R.count(of(m).space_size) : 'continuous';
    const columns = [
        head(text('method', (m) => of(m).name, (m) => R.methodName(m))),
        mono('as given', (m) => of(m).text),
        number('parameters', (m) => of(m).parameters),
        number('over packs', (m) => spread(m)[0], range),
        number('with head', R.withHead),
        text('searched', (m) => of(m).space),
        number('points', (m) => of(m).space_size, points, 'grid points of the space'),
        number(
            'budget', (m) => of(m).budget, (m) => of(m).budget ? R.count(of(m).budget) : 'no limit',
            'trials allowed on each pack'),
    ];
    R.table(body, 'methods', 'Methods', columns, R.shownMethods);
}

R.drawMaterial = () => {
    const body = R.section(
        'material', 'What was compared',
        'The data sets as they were used, with the fingerprint that a result must share to stand in the ' +
            'same table, and the methods with the space that was searched for each.',
        'whether two spaces are equally generous: equal numbers of trials in unequal spaces are not the ' +
            'same chance.');
    packTable(body);
    methodTable(body);
};

R.drawLedger = () => {
    const list = R.data.ledger || [], again = list.filter((l) => l.again).length;
    const body = R.section(
        'ledger', 'Who saw the test images',
        'Every opening of a test split is one line here: once for each method, pack and seed is the ' +
            'protocol; every further time is a chance to choose by test accuracy, and is marked.',
        'openings outside Vitro: whoever has the images can look at them.');
    if (!list.length)
        return body.appendChild(R.nothing('No test split was opened.'));
    body.appendChild(el(
        'p', {}, R.plural(list.length, 'opening'), ', ',
        again ? warning('▲ ' + again + ' of them not the first of its kind') : 'each the first of its kind',
        '.'));
    const columns = [
        head(mono(
            'when (UTC)', (l) => l.when, (l) => String(l.when || '').replace('T', ' ').replace('Z', ''))),
        text('method', (l) => name(R.methods, l.method)),
        text('pack', (l) => name(R.packs, l.pack)),
        seed,
        text('why', (l) => l.reason),
        text('again', (l) => l.again ? 1 : 0, (l) => l.again ? warning('▲ again') : 'first'),
        mono('trial', (l) => l.trial, (l) => R.hash(l.trial, 'trial')),
    ];
    R.table(body, 'ledger', 'Openings of test splits, in order', columns, () => list.filter(shows), 20);
};

R.drawResults = () => {
    const list = R.data.results || [];
    const body = R.section(
        'results', 'Every result, and how to repeat it',
        'Each line is one final run. The command trains it again from its recipe and compares, to the bit ' +
            'on the same device and driver.',
        'the weights and images: they must be on the machine that repeats a run.');
    if (!list.length)
        return body.appendChild(R.nothing('No result is in the data.'));
    const method = (r) => name(R.methods, r.method), pack = (r) => name(R.packs, r.pack);
    const id = (r) => r.final || r.refit;
    const state = (r) =>
        r.state === 'done' ? 'done' : warning('▲ ' + r.state + (r.reason ? ': ' + r.reason : ''));
    const copy = (r) =>
        el('button', {
            type: 'button',
            class: 'quiet',
            'aria-label': 'Copy the command for ' + method(r) + ' on ' + pack(r) + ', seed ' + r.seed,
            click: (e) => R.copy('vitro repro ' + id(r), e.currentTarget)
        },
           'copy');
    const command = (r) => id(r) ?
        el('span', {class: 'command'}, el('span', {}, 'vitro repro '), R.hash(id(r), 'result'), copy(r)) :
        null;
    const columns = [
        head(text('method', method)),
        text('pack', pack),
        seed,
        text('state', (r) => r.state, state),
        mono('command', id, command),
    ];
    R.table(body, 'results', 'Final runs', columns, () => list.filter(shows), 20);
};
})(VitroReport);
