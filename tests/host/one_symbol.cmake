# Every plugin's dynamic symbols: defined, exactly vitro_plugin; undefined, nothing that is ours.
foreach(method ${METHODS})
    set(file ${PLUGINS}/vitro_${method}.so)
    execute_process(COMMAND ${NM} -D -P --defined-only ${file} OUTPUT_VARIABLE defined COMMAND_ERROR_IS_FATAL ANY)
    string(REGEX MATCHALL "[^ \n]+ [A-Za-z] [^\n]*\n" lines "${defined}")
    list(FILTER lines EXCLUDE REGEX "^__odr_asan") # a sanitizer's own
    if(NOT lines MATCHES "^vitro_plugin [^\n]*\n$")
        message(FATAL_ERROR "${file} exports ${lines}")
    endif()
    execute_process(COMMAND ${NM} -D --undefined-only ${file} OUTPUT_VARIABLE needed COMMAND_ERROR_IS_FATAL ANY)
    if(needed MATCHES " (vitro_|tape_|method_|plugins_|mem_|fail)")
        message(FATAL_ERROR "${file} needs ${needed}")
    endif()
endforeach()
