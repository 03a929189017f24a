#ifdef __linux__  // expect: platform-ifdef
#endif
#if defined(CONTRAIL) && /* expect: platform-ifdef */ \
    defined(_WIN32)
#endif
#ifndef CONTRAIL_OTHER
#endif
// #ifdef __linux__
