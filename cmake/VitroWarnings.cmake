# One target that every C target of the project links: language level, warnings, sanitizers.
add_library(vitro_settings INTERFACE)
target_compile_features(vitro_settings INTERFACE c_std_11)
target_compile_definitions(vitro_settings INTERFACE _POSIX_C_SOURCE=200809L _DEFAULT_SOURCE)
target_compile_options(vitro_settings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion
    -fno-math-errno -ffp-contract=off)
if(VITRO_WERROR)
    # not that one: compilers cannot know that fail() returns a negative number, and so see paths on
    # which a value that a refusal left unset is read
    target_compile_options(vitro_settings INTERFACE -Werror
                           $<$<C_COMPILER_ID:GNU>:-Wno-error=maybe-uninitialized>)
endif()
if(VITRO_SANITIZE)
    target_compile_options(vitro_settings INTERFACE -fsanitize=${VITRO_SANITIZE}
                           -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
    target_link_options(vitro_settings INTERFACE -fsanitize=${VITRO_SANITIZE})
endif()
if(VITRO_FUZZ)
    target_compile_options(vitro_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
