/* skeleton.S - the files of sdk/template as bytes of the program, each ended by a zero. */
    .section .rodata
    .global skeleton_source, skeleton_cmake, skeleton_make, skeleton_readme
skeleton_source:
    .incbin "template/template.c"
    .byte 0
skeleton_cmake:
    .incbin "template/CMakeLists.txt"
    .byte 0
skeleton_make:
    .incbin "template/Makefile"
    .byte 0
skeleton_readme:
    .incbin "template/README.md"
    .byte 0
    .section .note.GNU-stack, "", %progbits
