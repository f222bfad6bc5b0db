/* XTLS for C: end-to-end encrypted tunnels between XMPP entities.
 *
 * docs/guide/c.md of the repository shows a whole client. What holds for all of it:
 *
 * - The library does no I/O and starts no thread. Stanzas, bytes and the time go in; stanzas, bytes, events and the next deadline
 *   come out. All calls return at once, but for your own store and log.
 * - Every function returns XTLS_OK, or a code that says why it did nothing; xtls_strerror has words for it, and xtls_last_error says
 *   on the same thread what it was about.
 * - Texts that go in end with a zero and are UTF-8, unless a length stands beside them. A pointer must point to what it is said to;
 *   one that is null where it must not be is XTLS_NULL_POINTER.
 * - What comes out is copied into your buffer. Where that is too small, the call says XTLS_BUFFER_TOO_SMALL and, in `length`, how much
 *   is needed; nothing is lost, and the call can be made again. A null buffer of size 0 asks for the length alone.
 * - An engine may be used from any thread, and by one call at a time: any other is XTLS_BUSY, and so is one from inside of your
 *   store or log. Nothing waits.
 * - Structs that begin with their size can grow. Set all to zero, and the size to sizeof.
 * - A fault of the library that would end a program written in Rust ends the call with XTLS_PANICKED, and the engine says
 *   XTLS_POISONED from then on: free it.
 */

#ifndef XTLS_H
#define XTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a call did, or why it did nothing: xtls_code. */
enum {
  XTLS_OK = 0, /* it was done */
  XTLS_NULL_POINTER = 1, /* a pointer is null that must not be */
  XTLS_BAD_HANDLE = 2, /* the handle is none, or was closed */
  XTLS_BUSY = 3, /* the object is in use: by another thread, or by the call that this one was made from */
  XTLS_POISONED = 4, /* the library panicked in an earlier call, and the object cannot be used any more: close it */
  XTLS_PANICKED = 5, /* the library panicked: that is a fault of it, please report it */
  XTLS_NOT_UTF8 = 6, /* a text is not UTF-8 */
  XTLS_BUFFER_TOO_SMALL = 7, /* the buffer is too small: call again with one of the size that is needed */
  XTLS_TOO_MANY_HANDLES = 8, /* as many objects are open as there can be */
  XTLS_NOTHING = 9, /* there is nothing at the moment */
  XTLS_ADDRESS = 20, /* the text is not an address of the kind that is wanted */
  XTLS_SETTING = 21, /* a setting has no such name, no such value, or is missing */
  XTLS_XML = 22, /* the text is not one stanza of XML */
  XTLS_IDENTITY = 23, /* the certificate or the key cannot be used */
  XTLS_FINGERPRINT = 24, /* the text is not a fingerprint */
  XTLS_NAME = 25, /* there is no such name here */
  XTLS_AUTHORITIES = 26, /* the authorities cannot be read */
  XTLS_PASSWORD_EMPTY = 27, /* the password is empty */
  XTLS_PASSWORD_TOO_LONG = 28, /* the password is too long */
  XTLS_PASSWORD_PROHIBITED = 29, /* the password has a character that is not allowed */
  XTLS_CONFIG = 40, /* a field of the configuration is out of bounds */
  XTLS_PROVIDER = 41, /* the cryptography can do neither TLS 1.2 nor TLS 1.3 */
  XTLS_MINIMUM_TLS = 42, /* the cryptography cannot do the version of TLS that the configuration demands */
  XTLS_STORE = 43, /* the trust store cannot be read or written */
  XTLS_OTHER_ENGINE = 60, /* the id is another engine's, or none at all */
  XTLS_ENDED = 61, /* the tunnel has ended */
  XTLS_GONE = 62, /* the offer does not stand any more */
  XTLS_OWN_ADDRESS = 80, /* the peer is your own address */
  XTLS_TOO_MANY_WITH_PEER = 81, /* as many tunnels with this peer as the configuration allows */
  XTLS_TOO_MANY = 82, /* as many as the configuration allows */
  XTLS_SID = 83, /* no session id, or one that is in use */
  XTLS_NO_METHOD = 84, /* the terms allow no TLS method */
  XTLS_USER_NAME = 85, /* the address of whoever begins cannot go with a password */
  XTLS_PASSWORD_LOCKED = 86, /* too many wrong passwords were tried with the peer; wait */
  XTLS_NO_AUTHORITIES = 87, /* no certificate of the peer is trusted, and no authorities are given */
  XTLS_DOWNGRADED = 88, /* the peer was secured before, and by something better than a leap of faith */
  XTLS_NOT_PINNED = 89, /* no certificate of the peer is trusted */
  XTLS_NO_TLS13 = 90, /* to ask the user about a certificate takes TLS 1.3, which the cryptography cannot do */
  XTLS_OTHER_APPLICATION = 91, /* the offer is for another application */
  XTLS_NOT_SECURED = 100, /* the tunnel is not secured yet */
  XTLS_NOT_XML = 101, /* the tunnel carries raw bytes */
  XTLS_NOT_RAW = 102, /* the tunnel carries an XML stream */
  XTLS_CLOSING = 103, /* this direction is finished, or the tunnel is ending */
  XTLS_WRONG_STATE = 104, /* the stream is already in that state */
  XTLS_NOT_IN_THIS_TLS = 105, /* TLS before 1.3 cannot end one direction alone: close the tunnel */
  XTLS_UNSUPPORTED = 106, /* not both ends give receipts */
  XTLS_EARLY = 107, /* the peer may have sent more than was read */
  XTLS_NO_STREAM = 108, /* no XML stream is open */
  XTLS_ALREADY_ASKED = 109, /* the peer has been asked and has not answered */
  XTLS_FULL = 110, /* as much is waiting to be sent as the configuration allows */
  XTLS_NOT_A_STANZA = 111, /* the element is not a stanza */
  XTLS_FOREIGN_ADDRESS = 112, /* the stanza is not between the two ends */
  XTLS_TOO_LARGE = 113, /* the element is larger than the configuration allows */
  XTLS_RESERVED = 114, /* it is for the stream itself to send */
  XTLS_NO_CERTIFICATE = 115, /* no certificate is presented to the server */
  XTLS_NOT_ASKED = 116, /* nothing is asked that this answers */
};

/* What an event is: xtls_event.kind. */
enum {
  XTLS_EVENT_INCOMING = 1, /* somebody offers a tunnel: accept or reject it */
  XTLS_EVENT_INCOMING_GONE = 2, /* an offer was taken back, or nobody decided in time */
  XTLS_EVENT_REDIRECTED = 3, /* the offer goes to another resource of the same account */
  XTLS_EVENT_PASSWORD_REQUIRED = 4, /* ask for the shared password */
  XTLS_EVENT_TRUST_REQUIRED = 5, /* ask whether the certificate is the peer's */
  XTLS_EVENT_SECURED = 6, /* the peer is authenticated, and the tunnel can be used */
  XTLS_EVENT_CONFIRMED = 7, /* the peer has accepted us too */
  XTLS_EVENT_STORE_FAILED = 8, /* the trust store could not write what was learned; the tunnel goes on */
  XTLS_EVENT_STREAM_OPENED = 9, /* stanzas can be sent from now on */
  XTLS_EVENT_STREAM_CLOSED = 10, /* no more stanzas can be sent; the tunnel stays */
  XTLS_EVENT_STANZA = 11, /* a stanza came */
  XTLS_EVENT_IMPERSONATION = 12, /* the peer sent a stanza in another's name; it was dropped */
  XTLS_EVENT_MISADDRESSED = 13, /* the peer sent a stanza for another entity; it was dropped */
  XTLS_EVENT_CERTIFICATES_RECEIVED = 14, /* the peer's certificates, or why there are none */
  XTLS_EVENT_PROBED = 15, /* what a peer is ready for, or why it is not known */
  XTLS_EVENT_PRESENCE_WANTED = 16, /* a peer that is known looks for you */
  XTLS_EVENT_CONNECT = 17, /* make this connection */
  XTLS_EVENT_ABANDON = 18, /* give up this connection */
  XTLS_EVENT_READABLE = 19, /* there is something to read */
  XTLS_EVENT_WRITABLE = 20, /* there is room to write again */
  XTLS_EVENT_THROTTLED = 21, /* a server on the way lets few bytes through */
  XTLS_EVENT_PEER_FINISHED = 22, /* the peer has sent its last byte */
  XTLS_EVENT_RECEIPT = 23, /* the peer's application has everything */
  XTLS_EVENT_CLOSED = 24, /* the tunnel has ended; its id is dead */
};

/* What became of a stanza: xtls_handled.disposition. */
enum {
  XTLS_CONSUMED = 0, /* answered or used: nobody else needs to see it */
  XTLS_OBSERVED = 1, /* used, and yours too: presence */
  XTLS_NOT_OURS = 2, /* yours */
  XTLS_UNCLAIMED = 3, /* of a session that the engine does not hold: refuse it if nobody else takes it */
  XTLS_MALFORMED = 4, /* not a stanza: the stream is broken */
};


/* The version of this interface. It is raised when a program that was compiled before would not work any more. */
#define XTLS_ABI 0

/* A buffer of this size holds any identity that `xtls_identity_generate` makes. */
#define XTLS_IDENTITY_SIZE 8192

/* A buffer of this size holds any stanza that the engine sends with the default settings, and the texts of nearly every event. */
#define XTLS_BUFFER_SIZE 65536

/* What a call did: `XTLS_OK`, or why it did nothing. */
typedef int32_t xtls_code;

/*
 Keeps what is known of peers: one text, which the library makes and reads. The functions are called from inside calls of the
 engine, on the thread that made the call. They must not call the engine (it says `XTLS_BUSY`), not block for long, and not leave by
 `longjmp` or an exception. `user` must live until `xtls_engine_free` has returned `XTLS_OK`.
 */
typedef struct {
  /* `sizeof(xtls_store)`. */
  size_t size;
  /* Handed to each function. */
  void *user;
  /*
   Copies the text that was saved last to `buffer`, says its length, and returns `XTLS_OK`; `XTLS_NOTHING` if none was ever
   saved; anything else if it cannot be read. Where the length is more than `size`, nothing need be copied: it is called again with
   a larger buffer. A text that was there and is gone is an error: otherwise everybody would be a first acquaintance again.
   */
  int32_t (*load)(void *user, uint8_t *buffer, size_t size, size_t *length);
  /* Keeps this text in the place of the last one, all of it or nothing, and returns `XTLS_OK` once it is safe. */
  int32_t (*save)(void *user, const uint8_t *text, size_t length);
  /* Begins a change; or null. Where several processes share the text, none of the others may change it until `unlock`. */
  int32_t (*lock)(void *user);
  /* Ends a change that `lock` began; or null. */
  void (*unlock)(void *user);
} xtls_store;

/* A setting: a name and a value, both in UTF-8. Yes and no are `true` and `false`, times are in milliseconds. */
typedef struct {
  /* Its name, such as `timers.answer` or `trust`. */
  const char *name;
  /* Its value. */
  const char *value;
} xtls_setting;

/*
 Takes a line for a log: how much it matters (1: debug, 2: trace), the part of the library, and the line. Nothing that is said in
 a tunnel, no key and no password is in it. The same holds as for the functions of `xtls_store`.
 */
typedef void (*xtls_log)(void *user, int32_t level, const char *target, const char *line);

/* What an engine is made from. Set all of it to zero, then `size`, then what you need. */
typedef struct {
  /* `sizeof(xtls_setup)`. */
  size_t size;
  /* Your full address. */
  const char *jid;
  /* Your certificate and its key in PEM, as `xtls_identity_generate` makes it. It is copied, and the copy is wiped. */
  const char *identity;
  /* What is known of peers is kept in this file; or null. */
  const char *store_path;
  /* Or by these functions; or null. With neither, what is known is forgotten with the engine. */
  const xtls_store *store;
  /* The certificates of authorities that are trusted, in PEM; or null. */
  const char *authorities;
  /* What differs from the defaults; or null. */
  const xtls_setting *settings;
  /* How many settings there are. */
  size_t settings_count;
  /* The time of day, in seconds since 1970. */
  uint64_t unix_time;
  /* Your clock in milliseconds, which may begin anywhere and must not go backwards. */
  uint64_t now;
  /* Takes lines for a log; or null. */
  xtls_log log;
  /* Handed to it. */
  void *log_user;
  /* The most that is written: 1 or 2. */
  int32_t log_level;
} xtls_setup;

/* An engine. The number is never given to another one: one that was freed is told from all others. 0 is none. */
typedef uint64_t xtls_engine;

/* What became of a stanza. */
typedef struct {
  /* One of `XTLS_CONSUMED` and the others. */
  int32_t disposition;
  /* What to name to `xtls_refuse`, of `XTLS_UNCLAIMED`. */
  uint64_t refusal;
} xtls_handled;

/*
 What happened. Which fields say something depends on the kind; texts of the others are empty, never null. All texts stand in the
 buffer that was handed in with the event, and are good as long as that is. Lists have a space between any two.
 */
typedef struct {
  /* `sizeof(xtls_event)`, set by you. */
  size_t size;
  /* One of `XTLS_EVENT_INCOMING` and the others. */
  int32_t kind;
  /* The tunnel, or the question that was asked by `xtls_probe`. */
  uint64_t id;
  /* The short name of the kind. */
  const char *name;
  /* Who it is about. */
  const char *peer;
  /* What runs in the tunnel, of incoming: `xml-stream`, `bytes`, or a namespace. */
  const char *application;
  /* The id of the session, of incoming. */
  const char *sid;
  /* The stanza; an address that was claimed; a report on a certificate; words for the user. */
  const char *text;
  /* The certificate of the peer, of trust-required and secured. */
  const char *fingerprint;
  /*
   What is announced, of incoming; what the peer was known by, of trust-required and secured, if that has changed; the keys of
   probed; the certificates of certificates-received.
   */
  const char *fingerprints;
  /* What is offered, of incoming; what the peer was secured by before, of trust-required; what secured it, of secured. */
  const char *methods;
  /* Which end is asked, of password-required. */
  const char *side;
  /* What authenticated the peer, of secured. */
  const char *authentication;
  /* The version of TLS, the cipher suite and the key exchange, of secured. */
  const char *tls;
  /* Who ended it, of closed. */
  const char *by;
  /* Why, of closed: `done`, `terminated`, `aborted` or `fault`. */
  const char *reason;
  /* The condition of XEP-0166, of closed with `terminated`. */
  const char *condition;
  /* What went wrong, of closed with `fault`, of probed and certificates-received. */
  const char *fault;
  /* Whose fault it is. */
  const char *blame;
  /* Whether the peer has everything, of closed. */
  const char *receipt;
  /* All bytes that were written, of receipt; those not acknowledged, of closed; in a second, of throttled. */
  uint64_t bytes;
  /* Authentication failed, or may have been attacked, of closed. */
  bool is_security;
  /* What was read may be a part of what was sent, of closed. */
  bool truncated;
  /* The peer has accepted us too, of secured. */
  bool confirmed;
  /* The certificate was outside its dates, of secured. */
  bool out_of_date;
  /* A certificate that nobody can verify yet is taken, of probed. */
  bool takes_insecure;
  /* A password may be used, of probed. */
  bool takes_password;
} xtls_event;

/* How a tunnel is doing. */
typedef struct {
  /* `sizeof(xtls_stats)`, set by you. */
  size_t size;
  /* Milliseconds since it began. */
  uint64_t age;
  /* Bytes that were encrypted for the peer. */
  uint64_t sent;
  /* How many of these are acknowledged. */
  uint64_t acked;
  /* Bytes that came. */
  uint64_t received;
  /* Bytes of yours that are not acknowledged. */
  uint64_t unacked;
  /* Bytes a second that a server lets through, if one holds it back. */
  uint64_t throttled;
  /* Milliseconds until a block is acknowledged, of late. */
  uint64_t round_trip;
  /* How many times blocks came back. */
  uint32_t retries;
} xtls_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/* The version of the library, such as `0.1.0`. */
const char *xtls_version(void);

/* The version of its binary interface: `XTLS_ABI` of the header that it was made with. */
uint32_t xtls_abi(void);

/* What a code means, in words. It is never null, and need not be freed. */
const char *xtls_strerror(xtls_code code);

/* The short name of a code, the same in all languages; empty if there is none. */
const char *xtls_code_name(xtls_code code);

/* The short name of a kind of event, the same in all languages; empty if there is none. */
const char *xtls_event_name(int32_t kind);

/* The short name of what became of a stanza; empty if there is none. */
const char *xtls_disposition_name(int32_t disposition);

/* What was wrong with the last call on this thread that did nothing, and with what. It ends with a zero, which its length counts. */
xtls_code xtls_last_error(char *buffer,
                          size_t size,
                          size_t *length);

/*
 Makes a key and a certificate for it, as one text in PEM: keep it where nobody else can read it, and wipe the buffer. It ends with
 a zero, which its length counts. `algorithm` is `ecdsa-p256`, `ed25519` or `rsa-3072`. A buffer of `XTLS_IDENTITY_SIZE` bytes will do.
 */
xtls_code xtls_identity_generate(const char *jid,
                                 const char *algorithm,
                                 uint64_t unix_time,
                                 char *buffer,
                                 size_t size,
                                 size_t *length);

/* The fingerprint of the certificate in a text of PEM, as `sha-256:…`. It ends with a zero, which its length counts. */
xtls_code xtls_identity_fingerprint(const char *identity,
                                    char *buffer,
                                    size_t size,
                                    size_t *length);

/* Makes an engine: all tunnels of one full address. Make a new one after each login. */
xtls_code xtls_engine_new(const xtls_setup *setup, xtls_engine *engine);

/*
 Frees an engine with all its tunnels, without a word to the peers: call `xtls_handle_disconnect`, or close the tunnels, before.
 One that is in use stays.
 */
xtls_code xtls_engine_free(xtls_engine engine);

/* A stanza of the outer stream, with its length: hand in each one, presence too. `handled` says what became of it. */
xtls_code xtls_handle_stanza(xtls_engine engine,
                             uint64_t now,
                             const char *stanza,
                             size_t length,
                             xtls_handled *handled);

/* Refuses a stanza that was `XTLS_UNCLAIMED`, and that nobody else took: otherwise its sender waits in vain. */
xtls_code xtls_refuse(xtls_engine engine,
                      uint64_t now,
                      uint64_t refusal);

/* Time has passed: call this when `xtls_poll_timeout` says so. */
xtls_code xtls_handle_timeout(xtls_engine engine, uint64_t now);

/* The outer stream is gone for good: all tunnels end. */
xtls_code xtls_handle_disconnect(xtls_engine engine, uint64_t now);

/* The outer stream is away, and is to be resumed (XEP-0198). */
xtls_code xtls_handle_suspended(xtls_engine engine, uint64_t now);

/* It was resumed. Call this before the first stanza that waited at the server. */
xtls_code xtls_handle_resumed(xtls_engine engine, uint64_t now);

/*
 Copies the next stanza to send, without a zero after it, and says its length; `XTLS_NOTHING` if there is none. Where the buffer is too
 small the stanza stays.
 */
xtls_code xtls_poll_transmit(xtls_engine engine,
                             uint64_t now,
                             char *buffer,
                             size_t size,
                             size_t *length);

/*
 The same without a copy: lends the next stanza. It is the library's memory, and good until the next call of this engine by
 whichever thread: write it to where it goes at once.
 */
xtls_code xtls_lend_transmit(xtls_engine engine,
                             uint64_t now,
                             const char **stanza,
                             size_t *length);

/* Says in how many milliseconds `xtls_handle_timeout` is to be called, 0 for at once; `XTLS_NOTHING` if nothing waits. */
xtls_code xtls_poll_timeout(xtls_engine engine,
                            uint64_t now,
                            uint64_t *after);

/*
 Tells the next event, with its texts in the buffer, and says how much of that they take; `XTLS_NOTHING` if there is none. Where the
 buffer is too small the event stays.
 */
xtls_code xtls_poll_event(xtls_engine engine,
                          xtls_event *event,
                          char *buffer,
                          size_t size,
                          size_t *length);

/*
 Offers a tunnel to a full address, and says its id. The settings are `trust` (`pinned`, `ask`, `leap-of-faith` or `authorities`:
 there is no default), `application` (`xml-stream`, `bytes`, or a namespace), `password`, `ask_password`, `allow_downgrade`,
 `check_support` and `sid`.
 */
xtls_code xtls_initiate(xtls_engine engine,
                        uint64_t now,
                        const char *peer,
                        const xtls_setting *settings,
                        size_t settings_count,
                        uint64_t *id);

/* Accepts an offer, with settings as for `xtls_initiate`; the application is what is offered, unless it is named. */
xtls_code xtls_accept(xtls_engine engine,
                      uint64_t now,
                      uint64_t id,
                      const xtls_setting *settings,
                      size_t settings_count);

/* Rejects an offer, for a reason of XEP-0166, 7.4, such as `decline` or `busy`. */
xtls_code xtls_reject(xtls_engine engine, uint64_t now, uint64_t id, const char *reason);

/* Answers the question for a password; null says that there is none. Wipe your own copy. */
xtls_code xtls_password(xtls_engine engine, uint64_t now, uint64_t id, const char *password);

/* Answers the question about a certificate: `accept`, `accept-and-keep` or `refuse`. */
xtls_code xtls_trust(xtls_engine engine, uint64_t now, uint64_t id, const char *decision);

/* Sends a stanza inside. `XTLS_FULL` says to wait for `XTLS_EVENT_WRITABLE`. */
xtls_code xtls_send(xtls_engine engine, uint64_t now, uint64_t id, const char *stanza);

/* Writes bytes, as many as there is room for, and says how many: the rest after `XTLS_EVENT_WRITABLE`. */
xtls_code xtls_write(xtls_engine engine,
                     uint64_t now,
                     uint64_t id,
                     const uint8_t *bytes,
                     size_t length,
                     size_t *written);

/*
 Copies bytes that have come, and says how many; 0 if there are none at the moment. What does not fit stays, also when the tunnel ends
 meanwhile: go on until there are none.
 */
xtls_code xtls_read(xtls_engine engine,
                    uint64_t now,
                    uint64_t id,
                    uint8_t *buffer,
                    size_t size,
                    size_t *length);

/* No more bytes will be written; those of the peer still come. */
xtls_code xtls_finish(xtls_engine engine, uint64_t now, uint64_t id);

/* Ends the tunnel in order. */
xtls_code xtls_close(xtls_engine engine, uint64_t now, uint64_t id);

/* Ends the tunnel at once, for a reason of XEP-0166, 7.4, such as `cancel`. */
xtls_code xtls_abort(xtls_engine engine, uint64_t now, uint64_t id, const char *reason);

/* Opens an XML stream in the tunnel again, after one was closed. */
xtls_code xtls_open_stream(xtls_engine engine, uint64_t now, uint64_t id);

/* Closes the XML stream; the tunnel stays. */
xtls_code xtls_close_stream(xtls_engine engine, uint64_t now, uint64_t id);

/* When the peer is given a receipt: `when-read`, `when-told` or `never`. */
xtls_code xtls_set_give_receipt(xtls_engine engine, uint64_t now, uint64_t id, const char *when);

/* Gives the peer a receipt: everything has come, and is stored. */
xtls_code xtls_give_receipt(xtls_engine engine, uint64_t now, uint64_t id);

/* Says how a tunnel is doing. */
xtls_code xtls_tunnel_stats(xtls_engine engine, uint64_t id, xtls_stats *stats);

/*
 Derives keying material that both ends share (RFC 5705), so much as the buffer has; `XTLS_NOT_SECURED` before there is any. It is
 secret: wipe it.
 */
xtls_code xtls_export_keying_material(xtls_engine engine,
                                      uint64_t id,
                                      const char *label,
                                      uint8_t *buffer,
                                      size_t size);

/* Pins a certificate to a peer, on the user's word: its bare address, and a fingerprint such as `sha-256:…`. */
xtls_code xtls_pin(xtls_engine engine,
                   const char *peer,
                   const char *fingerprint);

/* Forgets a peer, but for wrong guesses at a password, which `xtls_forgive` takes off. `XTLS_NOTHING` if nothing was known of it. */
xtls_code xtls_forget(xtls_engine engine,
                      const char *peer);

/* Lifts the locks that wrong guesses at a password have put on an address. `XTLS_NOTHING` if there were none. */
xtls_code xtls_forgive(xtls_engine engine,
                       const char *peer);

/* All certificates that are pinned: a line for each, with the address, the fingerprint, and how it came to be known. */
xtls_code xtls_pins(xtls_engine engine,
                    char *buffer,
                    size_t size,
                    size_t *length);

/*
 From now on the engine answers questions for features itself (XEP-0030, XEP-0115), and `xtls_presence` tells of them. `node` is the
 address of your software, `category` and `kind` such as `client` and `pc`, and `features` those of yours.
 */
xtls_code xtls_set_features(xtls_engine engine,
                            const char *node,
                            const char *category,
                            const char *kind,
                            const char *const *features,
                            size_t features_count);

/*
 The presence that tells of the features, to everybody, or to this address alone if it is not null. It ends with a zero, which its
 length counts. `XTLS_NOTHING` before `xtls_set_features`.
 */
xtls_code xtls_presence(xtls_engine engine,
                        const char *to,
                        char *buffer,
                        size_t size,
                        size_t *length);

/* The full addresses of an account that are online, as presence has told, a line for each, those with XTLS first. */
xtls_code xtls_resources(xtls_engine engine,
                         const char *peer,
                         char *buffer,
                         size_t size,
                         size_t *length);

/* Asks a full address what it is ready for, with settings as for `xtls_initiate`, and says the id that `XTLS_EVENT_PROBED` will have. */
xtls_code xtls_probe(xtls_engine engine,
                     uint64_t now,
                     const char *peer,
                     const xtls_setting *settings,
                     size_t settings_count,
                     uint64_t *id);

/* Lets this account learn what you are ready for, and that you are there; or does not. */
xtls_code xtls_allow_offers(xtls_engine engine, const char *peer, bool allowed);

/* The largest stanza that the server takes, in bytes (XEP-0478), after each login; 0 where it does not say. */
xtls_code xtls_set_stanza_limit(xtls_engine engine,
                                uint64_t now,
                                uint32_t bytes);

/* Changes how many blocks may be on their way: `adaptive`, or a number. */
xtls_code xtls_set_window(xtls_engine engine, uint64_t now, const char *window);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* XTLS_H */
