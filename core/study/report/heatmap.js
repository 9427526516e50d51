/* heatmap.js - a matrix whose rows are methods, drawn in squares, and the key to its colours. */
(function(R) {
'use strict';

/* Square cells, as large as there is room for. `o`:
 *   list, columns            methods of the rows, texts of the columns, slant: written aslant, across: their title
 *   label                    what the drawing is called
 *   value(r, c), colour(v)   null: an empty cell, or a hatched one where quiet(r, c)
 *   text(v, r, c)            written into the cell where it fits; mark(r, c): a dot
 *   tip(r, c), chosen(r, c)  what it says, what happens when it is pressed
 *   aside(r)                 a number right of the row */
R.heatmap = function(host, width, o) {
    const n = o.columns.length, longest = d3.max(o.list, (m) => Math.min(22, R.methods[m].name.length));
    const left = longest * 6.4 + 26, beside = o.slant || o.aside ? 52 : 6;
    const top = o.slant ? Math.min(118, 16 + 5.2 * d3.max(o.columns, (c) => Math.min(22, c.length))) : 34;
    const size = Math.max(11, Math.min(46, Math.floor((width - left - beside) / n)));
    const W = left + n * size + beside, H = top + o.list.length * size + 6;
    const svg = R.svg(host, Math.ceil(W), H, o.label), rows = [];
    const columns = svg.append('g')
                        .attr('class', 'axis')
                        .selectAll('text')
                        .data(o.columns)
                        .enter()
                        .append('text')
                        .text((c) => R.fit(c, 22));
    if (o.slant)
        columns.attr({
            transform: (_, c) =>
                'translate(' + (left + (c + 0.5) * size + 3) + ',' + (top - 5) + ') rotate(-45)'
        });
    else
        columns.attr({x: (_, c) => left + (c + 0.5) * size, y: top - 6, 'text-anchor': 'middle'})
            .style('display', (_, c) => size < 16 && c % 2 ? 'none' : null);
    if (o.aside)
        svg.append('text').attr({x: left + n * size + 6, y: top - 6}).text('mean');
    if (o.across)
        svg.append('text').attr({x: left, y: 11, class: 'title'}).text(o.across);
    o.list.forEach((m, r) => {
        const y = top + r * size;
        svg.append('path')
            .attr({d: R.symbol(m, 46), transform: 'translate(8,' + (y + size / 2) + ')', class: 'mark'})
            .style('fill', R.colour(m));
        svg.append('text')
            .attr({x: 18, y: y + size / 2, dy: '.34em', class: 'name'})
            .text(R.fit(R.methods[m].name, 22));
        if (o.aside)
            svg.append('text').attr({x: left + n * size + 6, y: y + size / 2, dy: '.34em'}).text(o.aside(r));
        rows.push(o.columns.map((_, c) => {
            const v = o.value(r, c), quiet = o.quiet && o.quiet(r, c), colour = R.is(v) ? o.colour(v) : null;
            const rect = svg.append('rect').attr({
                x: left + c * size,
                y,
                width: size - 1,
                height: size - 1,
                rx: 1.5,
                class: 'cell' +
                    (R.is(v)   ? '' :
                         quiet ? ' hatch' :
                                 ' empty')
            });
            if (colour)
                rect.style('fill', colour);
            const text = R.is(v) ? o.text(v, r, c) : '';
            if (text && size >= 9 + 5.6 * text.length)
                svg.append('text')
                    .attr({
                        x: left + (c + 0.5) * size - 0.5,
                        y: y + size / 2 - 0.5,
                        dy: '.34em',
                        'text-anchor': 'middle',
                        class: 'in'
                    })
                    .style('fill', R.inkOn(colour))
                    .text(text);
            if (o.mark && o.mark(r, c))
                svg.append('circle')
                    .attr({
                        cx: left + (c + 1) * size - (size > 20 ? 7 : size / 2 + 0.5),
                        cy: y + (size > 20 ? 6 : size / 2 - 0.5),
                        r: size > 20 ? 2.2 : 1.8,
                        class: 'dot'
                    })
                    .style('fill', R.inkOn(colour || '#fff'));
            const spec = o.tip(r, c);
            if (spec)
                R.tip(rect.node(), spec, true);
            if (spec && o.chosen)
                rect.on('click', () => o.chosen(r, c))
                    .on('keydown',
                        () => d3.event.key === 'Enter' || d3.event.key === ' ' ?
                            (d3.event.preventDefault(), o.chosen(r, c)) :
                            0)
                    .classed('pressable', true);
            return spec ? rect.node() : null;
        }));
    });
    R.rove(svg.node(), rows);
};

/* The scale of a heat map. */
let keys = 0;
R.heatKey = function(host, colour, low, high, text, what) {
    const id = 'key-' + ++keys, svg = d3.select(host).append('svg').attr({
        width: 260,
        height: 30,
        viewBox: '0 0 260 30',
        class: 'key',
        role: 'img',
        'aria-label': what + ', from ' + text(low) + ' to ' + text(high)
    });
    const stops = svg.append('defs').append('linearGradient').attr('id', id);
    R.range(11).forEach(
        (i) => stops.append('stop')
                   .attr('offset', i / 10)
                   .attr('stop-color', colour(low + (high - low) * i / 10)));
    svg.append('rect').attr(
        {x: 0, y: 2, width: 120, height: 9, rx: 1.5, fill: 'url(#' + id + ')', class: 'edge'});
    svg.append('text').attr({x: 0, y: 24}).text(text(low));
    svg.append('text').attr({x: 120, y: 24, 'text-anchor': 'end'}).text(text(high));
    svg.append('text').attr({x: 128, y: 11}).text(what);
};
})(VitroReport);
