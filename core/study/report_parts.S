/* report_parts.S - the report page's template, styles, library and scripts as bytes of the program, each ended by
 * a zero. REPORT_D3 is the path of d3.min.js. */
    .section .rodata
    .global report_template, report_style, report_licence, report_library, report_script
report_template:
    .incbin "report.html"
    .byte 0
report_style:
    .incbin "report.css"
    .byte 0
report_licence:
    .incbin "d3.licence"
    .byte 0
report_library:
    .incbin REPORT_D3
    .byte 0
report_script:
    .incbin "base.js"
    .incbin "ui.js"
    .incbin "header.js"
    .incbin "table.js"
    .incbin "export.js"
    .incbin "scatter.js"
    .incbin "heatmap.js"
    .incbin "ranks.js"
    .incbin "pairs.js"
    .incbin "agreement.js"
    .incbin "ensembles.js"
    .incbin "calibration.js"
    .incbin "tuning.js"
    .incbin "shifts.js"
    .incbin "wise.js"
    .incbin "ledger.js"
    .incbin "page.js"
    .byte 0
    .section .note.GNU-stack, "", %progbits
