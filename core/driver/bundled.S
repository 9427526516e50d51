/* bundled.S - the bundled model's file as bytes of the program; none where the build had no such file. */
    .section .rodata
    .balign 16
    .global bundled_model
    .global bundled_model_size
bundled_model:
#ifdef BUNDLED_MODEL
    .incbin BUNDLED_MODEL
#endif
bundled_model_end:
    .balign 8
bundled_model_size:
    .quad bundled_model_end - bundled_model
    .section .note.GNU-stack, "", %progbits
