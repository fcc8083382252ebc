/* line_keys.h: what a person types, key by key; shared by line.c and line_keys.c. */
#ifndef LIG_LINE_KEYS_H
#define LIG_LINE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

enum lig_key {
    LIG_KEY_CHARACTER,
    LIG_KEY_PASTE,     /* `paste` holds what was pasted */
    LIG_KEY_INTERRUPT, /* Ctrl-C, or a signal */
    LIG_KEY_SUSPEND,   /* Ctrl-Z */
    LIG_KEY_RESIZED,   /* the terminal has another size now */
    LIG_KEY_END        /* nobody is there any more */
};

struct lig_keys {
    unsigned char pending[16]; /* bytes that were looked at, the next one last */
    size_t pending_count;
    wchar_t *paste;
    size_t paste_length, paste_room;
};

/* Around the reading of a line: notices changes of the terminal's size, and asks the
 * terminal on `fd` to say what is pasted and what is typed. */
void lig_keys_begin(int fd);
void lig_keys_end(int fd);

/* Waits for the next key on fd. */
enum lig_key lig_keys_next(struct lig_keys *keys, int fd, wchar_t *character);

/* Whether more is there already, as when a terminal pastes without saying so. */
bool lig_keys_waiting(const struct lig_keys *keys, int fd);

/* Decodes one character of UTF-8 and gives the bytes that it took; a byte that is none
 * becomes U+FFFD. */
size_t lig_keys_decode(const unsigned char *text, size_t length, wchar_t *character);

#endif
