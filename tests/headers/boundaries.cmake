# Names every file of core/ that includes a library's header which is another layer's business.
# header (a regular expression)      the folders or files of core/ that may include it
set(rules
    "vulkan/|volk\\."                "vk/|run/"
    "dlfcn\\.h"                      "host/|vk/instance\\.c"
    "lapack"                         "host/singular\\.c"
    "cjson/|cJSON"                   "base/json\\.c"
    "zip\\.h"                       "base/zip_file\\.c"
    "openssl/"                       "base/hash\\.c"
    "sqlite3\\.h"                    "study/index"
    "uni(case|ctype|norm|str)\\.h"   "clip/"
    "png\\.h|jpeglib\\.h|archive"    "data/"
    "vitro/(method|sdk|training|kernel)\\.h" "host/|vit/")

file(GLOB_RECURSE files RELATIVE ${SOURCE}/core ${SOURCE}/core/*.c ${SOURCE}/core/*.h)
set(wrong "")
while(rules)
    list(POP_FRONT rules header allowed)
    foreach(file ${files})
        if(NOT file MATCHES "^(${allowed})")
            file(STRINGS ${SOURCE}/core/${file} lines REGEX "^ *# *include +[<\"](${header})")
            foreach(line ${lines})
                string(APPEND wrong "core/${file}: ${line}\n")
            endforeach()
        endif()
    endforeach()
endwhile()
if(wrong)
    message(FATAL_ERROR "these files include what only another layer may see:\n${wrong}")
endif()
