/* bcryptprimitives.dll for Wine before 9, which has none: Rust's standard library takes its random numbers from this
 * DLL, and without it every program ends with status 53 before its main function (docs/design/windows.md, section 9). */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
    while (length > 0) {
        ULONG part = length > 0x10000000 ? 0x10000000 : (ULONG)length;
        if (!RtlGenRandom(data, part))
            return FALSE;
        data += part;
        length -= part;
    }
    return TRUE;
}
