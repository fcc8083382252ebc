/* line_keys.c: the keys of a terminal, for line.c.
 *
 * Waits for bytes without losing a signal, makes characters of them, and keeps what
 * is pasted apart from what is typed: a pasted tab must not complete anything, and a
 * pasted control character must not do what its key does.  Knows nothing of Lua.
 */
#include "line_keys.h"
#include "lig.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ESCAPE 0x1B
#define PASTE_BEGIN "[200~" /* after the escape */
#define PASTE_END "\033[201~"
#define PASTE_LIMIT ((size_t)4 << 20) /* characters */

/* The bytes of one key come together; those of a paste may be held up on their way. */
static const struct timespec key_wait = {.tv_nsec = 50000000};
static const struct timespec paste_wait = {.tv_sec = 2};

/* ---- signals ------------------------------------------------------------- */

/* A signal handler has no argument to carry its state in. */
static volatile sig_atomic_t keys_resized;
static struct sigaction keys_resize_before;

static void resize_handle(int number) {
    (void)number;
    keys_resized = 1;
}

static void terminal_say(int fd, const char *sequence) {
    ssize_t written = write(fd, sequence, strlen(sequence));
    (void)written; // a terminal that is gone shows when it is read
}

void lig_keys_begin(int fd) {
    struct sigaction action = {.sa_handler = resize_handle};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGWINCH, &action, &keys_resize_before);
    terminal_say(fd, "\033[?2004h");
}

void lig_keys_end(int fd) {
    terminal_say(fd, "\033[?2004l");
    (void)sigaction(SIGWINCH, &keys_resize_before, NULL);
}

/* ---- bytes --------------------------------------------------------------- */

enum byte { BYTE, BYTE_NONE, BYTE_SIGNAL, BYTE_END };

/* Signals are let in only while we wait, so that none can come between the question
 * whether there was one and the waiting. */
static int input_wait(int fd, const struct timespec *limit) {
    sigset_t heeded;
    sigset_t before;
    (void)sigemptyset(&heeded);
    (void)sigaddset(&heeded, SIGINT);
    (void)sigaddset(&heeded, SIGTERM);
    (void)sigaddset(&heeded, SIGWINCH);
    (void)pthread_sigmask(SIG_BLOCK, &heeded, &before);
    int n = -1;
    errno = EINTR;
    if (!lig_interrupted() && !keys_resized) {
        struct pollfd input = {.fd = fd, .events = POLLIN};
        n = ppoll(&input, 1, limit, &before);
    }
    int saved_errno = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved_errno;
    return n;
}

static enum byte byte_next(struct lig_keys *keys, int fd, const struct timespec *limit,
                           unsigned char *byte) {
    if (keys->pending_count > 0) {
        *byte = keys->pending[--keys->pending_count];
        return BYTE;
    }
    for (;;) {
        int ready = input_wait(fd, limit);
        if (ready == 0) {
            return BYTE_NONE;
        }
        if (ready < 0 && (lig_interrupted() || keys_resized)) {
            return BYTE_SIGNAL;
        }
        ssize_t n = ready < 0 ? -1 : read(fd, byte, 1);
        if (n == 1) {
            return BYTE;
        }
        if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
            return BYTE_END;
        }
    }
}

static void byte_return(struct lig_keys *keys, unsigned char byte) {
    if (keys->pending_count < sizeof keys->pending) {
        keys->pending[keys->pending_count++] = byte;
    }
}

bool lig_keys_waiting(const struct lig_keys *keys, int fd) {
    int count = 0;
    return keys->pending_count > 0 || (ioctl(fd, FIONREAD, &count) == 0 && count > 0);
}

/* ---- characters ---------------------------------------------------------- */

static size_t sequence_length(unsigned char lead) {
    return lead < 0x80   ? 1
           : lead < 0xC2 ? 0
           : lead < 0xE0 ? 2
           : lead < 0xF0 ? 3
           : lead < 0xF5 ? 4
                         : 0;
}

size_t lig_keys_decode(const unsigned char *text, size_t length, wchar_t *character) {
    static const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t wanted = sequence_length(text[0]);
    unsigned code = wanted < 2 ? text[0] : text[0] & (0x7FU >> wanted);
    size_t taken = 1;
    while (taken < wanted && taken < length && (text[taken] & 0xC0) == 0x80) {
        code = code << 6 | (text[taken++] & 0x3FU);
    }
    bool valid = wanted > 0 && taken == wanted && code >= smallest[wanted] && code <= 0x10FFFF &&
                 (code < 0xD800 || code > 0xDFFF);
    *character = valid ? (wchar_t)code : 0xFFFD;
    return valid ? wanted : 1;
}

/* The character that begins with this byte. */
static wchar_t character_complete(struct lig_keys *keys, int fd, unsigned char lead) {
    unsigned char text[4] = {lead};
    size_t wanted = sequence_length(lead);
    size_t count = 1;
    while (count < wanted && byte_next(keys, fd, &key_wait, &text[count]) == BYTE) {
        if ((text[count] & 0xC0) != 0x80) {
            byte_return(keys, text[count]);
            break;
        }
        count++;
    }
    wchar_t character;
    (void)lig_keys_decode(text, count, &character);
    return character;
}

/* ---- pasting ------------------------------------------------------------- */

static void paste_add(struct lig_keys *keys, wchar_t character) {
    if (keys->paste_length + 1 >= keys->paste_room) {
        size_t room = keys->paste_room == 0 ? 1024 : keys->paste_room * 2;
        wchar_t *larger = room > PASTE_LIMIT ? NULL : realloc(keys->paste, room * sizeof *larger);
        if (larger == NULL) {
            return;
        }
        keys->paste = larger;
        keys->paste_room = room;
    }
    keys->paste[keys->paste_length++] = character;
    keys->paste[keys->paste_length] = L'\0';
}

/* Lines end in \n whatever they ended in; of other control characters only the tab is
 * text.  The line end behind the last line is left out: Enter is for the person. */
static void paste_clean(struct lig_keys *keys) {
    size_t kept = 0;
    for (size_t i = 0; i < keys->paste_length; i++) {
        wchar_t c = keys->paste[i];
        if (c == L'\r') {
            c = i + 1 < keys->paste_length && keys->paste[i + 1] == L'\n' ? L'\0' : L'\n';
        }
        if (c == L'\n' || c == L'\t' || (c >= 0x20 && c != 0x7F && !(c >= 0x80 && c < 0xA0))) {
            keys->paste[kept++] = c;
        }
    }
    while (kept > 0 && keys->paste[kept - 1] == L'\n') {
        kept--;
    }
    keys->paste_length = kept;
    if (keys->paste != NULL) {
        keys->paste[kept] = L'\0';
    }
}

/* Takes what comes up to the mark of the end, or until nothing has come for a while. */
static void paste_read(struct lig_keys *keys, int fd) {
    keys->paste_length = 0;
    const size_t mark_length = strlen(PASTE_END);
    size_t matched = 0;
    unsigned char byte;
    while (matched < mark_length && byte_next(keys, fd, &paste_wait, &byte) == BYTE) {
        if (byte == (unsigned char)PASTE_END[matched]) {
            matched++;
            continue;
        }
        for (size_t i = 1; i < matched; i++) { // the escape itself would be left out
            paste_add(keys, (wchar_t)PASTE_END[i]);
        }
        matched = byte == ESCAPE ? 1 : 0;
        if (matched == 0) {
            paste_add(keys, character_complete(keys, fd, byte));
        }
    }
    paste_clean(keys);
}

enum mark { MARK_NONE, MARK_BEGIN, MARK_END };

/* After an escape: the mark of a paste that follows.  The two differ in one byte. */
static enum mark mark_take(struct lig_keys *keys, int fd) {
    unsigned char text[sizeof PASTE_BEGIN - 1];
    size_t count = 0;
    while (count < sizeof text && byte_next(keys, fd, &key_wait, &text[count]) == BYTE) {
        if (text[count] != (unsigned char)PASTE_BEGIN[count] &&
            text[count] != (unsigned char)PASTE_END[count + 1]) {
            byte_return(keys, text[count]);
            break;
        }
        count++;
    }
    if (count == sizeof text) {
        return memcmp(text, PASTE_BEGIN, sizeof text) == 0 ? MARK_BEGIN : MARK_END;
    }
    while (count > 0) {
        byte_return(keys, text[--count]);
    }
    return MARK_NONE;
}

/* ---- keys ---------------------------------------------------------------- */

/* The next key; false where there was nothing but the end of a paste that was given up. */
static bool key_take(struct lig_keys *keys, int fd, enum lig_key *key, wchar_t *character) {
    unsigned char byte = 0;
    *key = LIG_KEY_CHARACTER;
    switch (byte_next(keys, fd, NULL, &byte)) {
    case BYTE_SIGNAL:
        *key = keys_resized ? LIG_KEY_RESIZED : LIG_KEY_INTERRUPT;
        keys_resized = 0;
        return true;
    case BYTE_END:
    case BYTE_NONE:
        *key = LIG_KEY_END;
        return true;
    case BYTE:
        break;
    }
    if (byte == 0x03 || byte == 0x1A) {
        *key = byte == 0x03 ? LIG_KEY_INTERRUPT : LIG_KEY_SUSPEND;
        return true;
    }
    enum mark mark = byte == ESCAPE ? mark_take(keys, fd) : MARK_NONE;
    if (mark == MARK_NONE) {
        *character = character_complete(keys, fd, byte);
    } else if (mark == MARK_BEGIN) {
        paste_read(keys, fd);
        *key = LIG_KEY_PASTE;
    }
    return mark != MARK_END;
}

enum lig_key lig_keys_next(struct lig_keys *keys, int fd, wchar_t *character) {
    enum lig_key key;
    while (!key_take(keys, fd, &key, character)) {
    }
    return key;
}
