/*
 * libmqm_r.so of the stand-in queue manager: the calls the ibmmq package looks up, each one sent over TCP to the stand-in's
 * process (daemon.ts), which holds the queues. It is not IBM's client and speaks to nothing but the stand-in. Built when
 * the tests begin against the headers inside the ibmmq package; never installed.
 *
 * A request is: length (4 bytes), verb (1 byte), fields. An answer is: length, completion code, reason, fields. A field is a
 * number of 4 bytes or a block (length, then bytes), little-endian. Structures without pointers travel as they lie.
 *
 * The address is the connection name of the MQCD, `host(port)`, several parted by commas; without an MQCD (a CCDT) the
 * environment variable MILLRACE_STAND_IN, written the same way. Message handles live here, as they do in a real client.
 */
#define _GNU_SOURCE
#include <cmqc.h>
#include <cmqxc.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNX = 1, DISC, OPEN, CLOSE, PUT, PUT1, GET, INQ, CMIT, BACK };

/* ---- bytes ---- */

typedef struct {
  unsigned char *data;
  size_t length, capacity, read;
} Bytes;

static void append(Bytes *b, const void *data, size_t length) {
  if (b->length + length > b->capacity) {
    b->capacity = (b->length + length) * 2 + 512;
    b->data = realloc(b->data, b->capacity);
    if (!b->data) abort();
  }
  if (length) memcpy(b->data + b->length, data, length);
  b->length += length;
}

static void add_long(Bytes *b, MQLONG value) { append(b, &value, 4); }

static void add_block(Bytes *b, const void *data, size_t length) {
  add_long(b, (MQLONG)length);
  append(b, data, length);
}

/* A fixed-length field of an MQ structure, padded with blanks or nulls. */
static void add_padded(Bytes *b, const char *text, size_t size) {
  size_t length = strnlen(text, size);
  while (length && text[length - 1] == ' ') length--;
  add_block(b, text, length);
}

static MQLONG take_long(Bytes *b) {
  MQLONG value = 0;
  if (b->read + 4 <= b->length) memcpy(&value, b->data + b->read, 4);
  b->read += 4;
  return value;
}

static unsigned char *take_block(Bytes *b, size_t *length) {
  MQLONG stated = take_long(b);
  unsigned char *data = b->data + b->read;
  if (stated < 0 || b->read + (size_t)stated > b->length) stated = 0;
  b->read += (size_t)stated;
  *length = (size_t)stated;
  return data;
}

static void take_padded(Bytes *b, char *out, size_t size) {
  size_t length;
  unsigned char *data = take_block(b, &length);
  memset(out, ' ', size);
  memcpy(out, data, length < size ? length : size);
}

static void release(Bytes *b) { free(b->data); }

/* ---- connections ---- */

#define MAX_CONNECTIONS 1024

typedef struct {
  int socket; /* -1: broken */
  pthread_mutex_t lock;
} Connection;

static Connection *connections[MAX_CONNECTIONS];
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

static Connection *connection_of(MQHCONN handle) {
  if (handle < 1 || handle >= MAX_CONNECTIONS) return NULL;
  pthread_mutex_lock(&table_lock);
  Connection *connection = connections[handle];
  pthread_mutex_unlock(&table_lock);
  return connection;
}

static int transfer(int socket, void *data, size_t length, int sending) {
  for (size_t done = 0; done < length;) {
    ssize_t n = sending ? send(socket, (char *)data + done, length - done, MSG_NOSIGNAL)
                        : recv(socket, (char *)data + done, length - done, 0);
    if (n <= 0) return 0;
    done += (size_t)n;
  }
  return 1;
}

static int exchange(int socket, unsigned char verb, const Bytes *request, Bytes *answer) {
  Bytes frame = {0};
  add_long(&frame, (MQLONG)(1 + request->length));
  append(&frame, &verb, 1);
  append(&frame, request->data, request->length);
  int ok = transfer(socket, frame.data, frame.length, 1);
  release(&frame);
  unsigned int length;
  if (!ok || !transfer(socket, &length, 4, 0)) return 0;
  answer->data = malloc(length ? length : 1);
  if (!answer->data) abort();
  answer->length = answer->capacity = length;
  return transfer(socket, answer->data, length, 0);
}

static void result(PMQLONG code, PMQLONG reason, MQLONG reason_value) {
  *reason = reason_value;
  *code = reason_value == MQRC_NONE ? MQCC_OK : MQCC_FAILED;
}

/* Sends a request on a connection. False without an answer to read: the codes then say why. Releases the request. */
static int call(MQHCONN handle, unsigned char verb, Bytes *request, Bytes *answer, PMQLONG code, PMQLONG reason) {
  Connection *connection = connection_of(handle);
  int answered = 0;
  if (!connection) {
    result(code, reason, MQRC_HCONN_ERROR);
  } else {
    pthread_mutex_lock(&connection->lock);
    if (connection->socket >= 0) {
      answered = exchange(connection->socket, verb, request, answer);
      if (!answered) {
        close(connection->socket);
        connection->socket = -1;
      }
    }
    pthread_mutex_unlock(&connection->lock);
    if (answered) {
      *code = take_long(answer);
      *reason = take_long(answer);
    } else {
      result(code, reason, MQRC_CONNECTION_BROKEN);
    }
  }
  release(request);
  return answered;
}

/* Connects to the first address of `host(port),host(port)` that accepts; -1 if none does. */
static int dial(const char *names) {
  char list[2048];
  snprintf(list, sizeof list, "%s", names);
  char *rest = NULL;
  for (char *name = strtok_r(list, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
    char host[256] = "", port[16] = "1414";
    if (sscanf(name, " %255[^( ](%15[0-9])", host, port) < 1) continue;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(host, port, &hints, &found)) continue;
    for (struct addrinfo *a = found; a; a = a->ai_next) {
      int s = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
      if (s < 0) continue;
      if (connect(s, a->ai_addr, a->ai_addrlen) == 0) {
        int on = 1;
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        freeaddrinfo(found);
        return s;
      }
      close(s);
    }
    freeaddrinfo(found);
  }
  return -1;
}

void MQENTRY MQCONNX(PMQCHAR queue_manager, PMQCNO cno, PMQHCONN handle, PMQLONG code, PMQLONG reason) {
  char address[sizeof ((PMQCD)0)->ConnectionName + 1] = "";
  PMQCD cd = cno ? (PMQCD)cno->ClientConnPtr : NULL;
  PMQCSP csp = cno && cno->Version >= MQCNO_VERSION_5 ? cno->SecurityParmsPtr : NULL;
  PMQSCO sco = cno && cno->Version >= MQCNO_VERSION_4 ? cno->SSLConfigPtr : NULL;
  int has_ccdt = cno && cno->Version >= MQCNO_VERSION_6 && cno->CCDTUrlPtr;
  *handle = MQHC_UNUSABLE_HCONN;

  if (cd) memcpy(address, cd->ConnectionName, sizeof cd->ConnectionName);
  const char *standard = getenv("MILLRACE_STAND_IN");
  int s = dial(cd ? address : standard ? standard : "");
  if (s < 0) return result(code, reason, cd ? MQRC_HOST_NOT_AVAILABLE : MQRC_Q_MGR_NOT_AVAILABLE);

  Bytes request = {0}, answer = {0};
  add_padded(&request, queue_manager, MQ_Q_MGR_NAME_LENGTH);
  add_padded(&request, cd ? cd->ChannelName : "", cd ? MQ_CHANNEL_NAME_LENGTH : 0);
  add_padded(&request, cd ? cd->SSLCipherSpec : "", cd ? MQ_SSL_CIPHER_SPEC_LENGTH : 0);
  add_padded(&request, sco ? sco->KeyRepository : "", sco ? MQ_SSL_KEY_REPOSITORY_LENGTH : 0);
  add_block(&request, has_ccdt ? cno->CCDTUrlPtr : "", has_ccdt ? (size_t)cno->CCDTUrlLength : 0);
  add_block(&request, csp ? csp->CSPUserIdPtr : "", csp && csp->CSPUserIdPtr ? (size_t)csp->CSPUserIdLength : 0);
  add_block(&request, csp ? csp->CSPPasswordPtr : "", csp && csp->CSPPasswordPtr ? (size_t)csp->CSPPasswordLength : 0);
  int has_name = cno && cno->Version >= MQCNO_VERSION_7;
  add_padded(&request, has_name ? cno->ApplName : "", has_name ? MQ_APPL_NAME_LENGTH : 0);
  add_long(&request, cno ? cno->Options : 0);

  int answered = exchange(s, CONNX, &request, &answer);
  release(&request);
  if (answered) {
    *code = take_long(&answer);
    *reason = take_long(&answer);
  } else {
    result(code, reason, MQRC_CONNECTION_BROKEN);
  }
  release(&answer);
  if (*code == MQCC_FAILED) {
    close(s);
    return;
  }
  Connection *connection = calloc(1, sizeof *connection);
  if (!connection) abort();
  connection->socket = s;
  pthread_mutex_init(&connection->lock, NULL);
  pthread_mutex_lock(&table_lock);
  for (int i = 1; i < MAX_CONNECTIONS && *handle == MQHC_UNUSABLE_HCONN; i++) {
    if (!connections[i]) {
      connections[i] = connection;
      *handle = i;
    }
  }
  pthread_mutex_unlock(&table_lock);
  if (*handle == MQHC_UNUSABLE_HCONN) {
    close(s);
    free(connection);
    result(code, reason, MQRC_MAX_CONNS_LIMIT_REACHED);
  }
}

static void forget_handles(MQHCONN owner);

void MQENTRY MQDISC(PMQHCONN handle, PMQLONG code, PMQLONG reason) {
  Connection *connection = connection_of(*handle);
  if (!connection) return result(code, reason, MQRC_HCONN_ERROR);
  Bytes request = {0}, answer = {0};
  call(*handle, DISC, &request, &answer, code, reason);
  release(&answer);
  forget_handles(*handle);
  pthread_mutex_lock(&table_lock);
  connections[*handle] = NULL;
  pthread_mutex_unlock(&table_lock);
  if (connection->socket >= 0) close(connection->socket);
  free(connection);
  *handle = MQHC_UNUSABLE_HCONN;
}

static void transaction(MQHCONN handle, unsigned char verb, PMQLONG code, PMQLONG reason) {
  Bytes request = {0}, answer = {0};
  call(handle, verb, &request, &answer, code, reason);
  release(&answer);
}

void MQENTRY MQCMIT(MQHCONN handle, PMQLONG code, PMQLONG reason) { transaction(handle, CMIT, code, reason); }

void MQENTRY MQBACK(MQHCONN handle, PMQLONG code, PMQLONG reason) { transaction(handle, BACK, code, reason); }

/* ---- message handles: properties as the blocks name, type, value ---- */

typedef struct Property {
  struct Property *next;
  char *name;
  MQLONG type, length;
  void *value;
} Property;

typedef struct Handle {
  struct Handle *next;
  MQHMSG id;
  MQHCONN owner;
  Property *first, *cursor;
} Handle;

static Handle *handles;
static MQHMSG last_handle;
static pthread_mutex_t handle_lock = PTHREAD_MUTEX_INITIALIZER;

static Handle *handle_of(MQHMSG id) {
  for (Handle *h = handles; h; h = h->next)
    if (h->id == id) return h;
  return NULL;
}

static void clear(Handle *h) {
  while (h->first) {
    Property *p = h->first;
    h->first = p->next;
    free(p->name);
    free(p->value);
    free(p);
  }
  h->cursor = NULL;
}

static void set_property(Handle *h, const void *name, size_t name_length, MQLONG type, const void *value, MQLONG length) {
  Property **slot = &h->first;
  while (*slot && (strlen((*slot)->name) != name_length || memcmp((*slot)->name, name, name_length))) slot = &(*slot)->next;
  if (!*slot) {
    *slot = calloc(1, sizeof **slot);
    if (!*slot) abort();
    (*slot)->name = strndup(name, name_length);
  }
  free((*slot)->value);
  (*slot)->type = type;
  (*slot)->length = length;
  (*slot)->value = malloc(length ? (size_t)length : 1);
  if (!(*slot)->value) abort();
  if (length) memcpy((*slot)->value, value, (size_t)length);
}

/* The properties of a handle as one block; an unknown handle has none. */
static void add_properties(Bytes *request, MQHMSG id, MQHMSG more) {
  Bytes all = {0};
  pthread_mutex_lock(&handle_lock);
  for (int i = 0; i < 2; i++) {
    Handle *h = handle_of(i ? more : id);
    for (Property *p = h ? h->first : NULL; p; p = p->next) {
      add_block(&all, p->name, strlen(p->name));
      add_long(&all, p->type);
      add_block(&all, p->value, (size_t)p->length);
    }
  }
  pthread_mutex_unlock(&handle_lock);
  add_block(request, all.data, all.length);
  release(&all);
}

static void take_properties(Bytes *answer, MQHMSG id) {
  size_t length;
  unsigned char *data = take_block(answer, &length);
  Bytes all = {.data = data, .length = length};
  pthread_mutex_lock(&handle_lock);
  Handle *h = handle_of(id);
  if (h) clear(h);
  while (h && all.read < all.length) {
    size_t name_length, value_length;
    unsigned char *name = take_block(&all, &name_length);
    MQLONG type = take_long(&all);
    unsigned char *value = take_block(&all, &value_length);
    set_property(h, name, name_length, type, value, (MQLONG)value_length);
  }
  pthread_mutex_unlock(&handle_lock);
}

static void forget(MQHMSG id, MQHCONN owner) {
  for (Handle **slot = &handles; *slot;) {
    Handle *h = *slot;
    if (id ? h->id == id : h->owner == owner) {
      *slot = h->next;
      clear(h);
      free(h);
    } else {
      slot = &h->next;
    }
  }
}

static void forget_handles(MQHCONN owner) {
  pthread_mutex_lock(&handle_lock);
  forget(0, owner);
  pthread_mutex_unlock(&handle_lock);
}

void MQENTRY MQCRTMH(MQHCONN handle, PMQVOID options, PMQHMSG message, PMQLONG code, PMQLONG reason) {
  (void)options;
  *message = MQHM_UNUSABLE_HMSG;
  if (!connection_of(handle)) return result(code, reason, MQRC_HCONN_ERROR);
  Handle *h = calloc(1, sizeof *h);
  if (!h) abort();
  pthread_mutex_lock(&handle_lock);
  h->owner = handle;
  h->id = ++last_handle;
  h->next = handles;
  handles = h;
  pthread_mutex_unlock(&handle_lock);
  *message = h->id;
  result(code, reason, MQRC_NONE);
}

void MQENTRY MQDLTMH(MQHCONN handle, PMQHMSG message, PMQVOID options, PMQLONG code, PMQLONG reason) {
  (void)options;
  (void)handle;
  pthread_mutex_lock(&handle_lock);
  int known = *message > 0 && handle_of(*message);
  if (known) forget(*message, 0);
  pthread_mutex_unlock(&handle_lock);
  *message = MQHM_UNUSABLE_HMSG;
  result(code, reason, known ? MQRC_NONE : MQRC_HMSG_ERROR);
}

static size_t length_of(const MQCHARV *text) {
  return text->VSLength == MQVS_NULL_TERMINATED ? strlen(text->VSPtr) : (size_t)text->VSLength;
}

void MQENTRY MQSETMP(MQHCONN handle, MQHMSG message, PMQVOID options, PMQVOID name, PMQVOID descriptor, MQLONG type,
                     MQLONG length, PMQVOID value, PMQLONG code, PMQLONG reason) {
  (void)handle;
  (void)descriptor;
  const MQCHARV *text = name;
  if (((PMQSMPO)options)->Options != MQSMPO_SET_FIRST) return result(code, reason, MQRC_SMPO_ERROR);
  if (length_of(text) == 0) return result(code, reason, MQRC_PROPERTY_NAME_ERROR);
  pthread_mutex_lock(&handle_lock);
  Handle *h = handle_of(message);
  if (h) set_property(h, text->VSPtr, length_of(text), type, value, length);
  pthread_mutex_unlock(&handle_lock);
  result(code, reason, h ? MQRC_NONE : MQRC_HMSG_ERROR);
}

/* `%` stands for any rest of a name. */
static int matches(const char *name, const char *pattern, size_t length) {
  if (length && pattern[length - 1] == '%') return strncmp(name, pattern, length - 1) == 0;
  return strlen(name) == length && memcmp(name, pattern, length) == 0;
}

void MQENTRY MQINQMP(MQHCONN handle, MQHMSG message, PMQVOID options, PMQVOID name, PMQVOID descriptor, PMQLONG type,
                     MQLONG size, PMQVOID value, PMQLONG length, PMQLONG code, PMQLONG reason) {
  (void)handle;
  (void)descriptor;
  PMQIMPO impo = options;
  const MQCHARV *text = name;
  pthread_mutex_lock(&handle_lock);
  Handle *h = handle_of(message);
  MQLONG outcome = h ? MQRC_PROPERTY_NOT_AVAILABLE : MQRC_HMSG_ERROR;
  if (h) {
    Property *p = (impo->Options & MQIMPO_INQ_NEXT) ? (h->cursor ? h->cursor->next : NULL) : h->first;
    if ((impo->Options & MQIMPO_INQ_NEXT) && !h->cursor) p = h->first;
    while (p && !matches(p->name, text->VSPtr, length_of(text))) p = p->next;
    if (p) {
      *length = p->length;
      *type = p->type;
      size_t named = strlen(p->name);
      if (impo->ReturnedName.VSPtr && named <= (size_t)impo->ReturnedName.VSBufSize) {
        memcpy(impo->ReturnedName.VSPtr, p->name, named);
        impo->ReturnedName.VSLength = (MQLONG)named;
      }
      outcome = p->length > size ? MQRC_PROPERTY_VALUE_TOO_BIG : MQRC_NONE;
      if (outcome == MQRC_NONE) {
        memcpy(value, p->value, (size_t)p->length);
        h->cursor = p;
      }
    }
  }
  pthread_mutex_unlock(&handle_lock);
  result(code, reason, outcome);
}

/* ---- objects and messages ---- */

static void add_object(Bytes *request, const MQOD *od) {
  add_long(request, od->ObjectType);
  add_padded(request, od->ObjectName, MQ_Q_NAME_LENGTH);
  add_padded(request, od->ObjectQMgrName, MQ_Q_MGR_NAME_LENGTH);
}

void MQENTRY MQOPEN(MQHCONN handle, PMQVOID descriptor, MQLONG options, PMQHOBJ object, PMQLONG code, PMQLONG reason) {
  PMQOD od = descriptor;
  Bytes request = {0}, answer = {0};
  *object = MQHO_UNUSABLE_HOBJ;
  add_object(&request, od);
  add_long(&request, options);
  if (call(handle, OPEN, &request, &answer, code, reason) && *code != MQCC_FAILED) {
    *object = take_long(&answer);
    take_padded(&answer, od->ResolvedQName, MQ_Q_NAME_LENGTH);
    take_padded(&answer, od->ResolvedQMgrName, MQ_Q_MGR_NAME_LENGTH);
  }
  release(&answer);
}

void MQENTRY MQCLOSE(MQHCONN handle, PMQHOBJ object, MQLONG options, PMQLONG code, PMQLONG reason) {
  Bytes request = {0}, answer = {0};
  add_long(&request, *object);
  add_long(&request, options);
  call(handle, CLOSE, &request, &answer, code, reason);
  *object = MQHO_UNUSABLE_HOBJ;
  release(&answer);
}

/* The part MQPUT and MQPUT1 share. */
static void put(MQHCONN handle, unsigned char verb, Bytes *request, PMQMD md, PMQPMO pmo, MQLONG length, PMQVOID body,
                PMQLONG code, PMQLONG reason) {
  Bytes answer = {0};
  if (md->Version != MQMD_VERSION_2) {
    release(request);
    return result(code, reason, MQRC_MD_ERROR);
  }
  add_block(request, md, sizeof *md);
  add_long(request, pmo->Options);
  add_properties(request, pmo->OriginalMsgHandle, pmo->NewMsgHandle);
  add_block(request, body, (size_t)length);
  if (call(handle, verb, request, &answer, code, reason) && *code != MQCC_FAILED) {
    size_t size;
    unsigned char *data = take_block(&answer, &size);
    if (size == sizeof *md) memcpy(md, data, size);
    take_padded(&answer, pmo->ResolvedQName, MQ_Q_NAME_LENGTH);
    take_padded(&answer, pmo->ResolvedQMgrName, MQ_Q_MGR_NAME_LENGTH);
  }
  release(&answer);
}

void MQENTRY MQPUT(MQHCONN handle, MQHOBJ object, PMQVOID md, PMQVOID pmo, MQLONG length, PMQVOID body, PMQLONG code,
                   PMQLONG reason) {
  Bytes request = {0};
  add_long(&request, object);
  put(handle, PUT, &request, md, pmo, length, body, code, reason);
}

void MQENTRY MQPUT1(MQHCONN handle, PMQVOID od, PMQVOID md, PMQVOID pmo, MQLONG length, PMQVOID body, PMQLONG code,
                    PMQLONG reason) {
  Bytes request = {0};
  add_object(&request, od);
  put(handle, PUT1, &request, md, pmo, length, body, code, reason);
}

void MQENTRY MQGET(MQHCONN handle, MQHOBJ object, PMQVOID message, PMQVOID options, MQLONG size, PMQVOID buffer,
                   PMQLONG length, PMQLONG code, PMQLONG reason) {
  PMQMD md = message;
  PMQGMO gmo = options;
  Bytes request = {0}, answer = {0};
  *length = 0;
  if (md->Version != MQMD_VERSION_2) return result(code, reason, MQRC_MD_ERROR);
  if (gmo->Version != MQGMO_VERSION_4) return result(code, reason, MQRC_GMO_ERROR);
  add_long(&request, object);
  add_block(&request, md, sizeof *md);
  add_long(&request, gmo->Options);
  add_long(&request, gmo->WaitInterval);
  add_long(&request, gmo->MatchOptions);
  add_long(&request, gmo->MsgHandle != MQHM_NONE);
  add_long(&request, size);
  if (call(handle, GET, &request, &answer, code, reason) && *code != MQCC_FAILED) {
    size_t taken;
    unsigned char *data = take_block(&answer, &taken);
    if (taken == sizeof *md) memcpy(md, data, taken);
    take_padded(&answer, gmo->ResolvedQName, MQ_Q_NAME_LENGTH);
    *length = take_long(&answer);
    take_properties(&answer, gmo->MsgHandle);
    data = take_block(&answer, &taken);
    memcpy(buffer, data, taken);
    gmo->ReturnedLength = (MQLONG)taken;
  }
  release(&answer);
}

void MQENTRY MQINQ(MQHCONN handle, MQHOBJ object, MQLONG count, PMQLONG selectors, MQLONG numbers, PMQLONG number_values,
                   MQLONG text_size, PMQCHAR text, PMQLONG code, PMQLONG reason) {
  Bytes request = {0}, answer = {0};
  add_long(&request, object);
  add_block(&request, selectors, (size_t)count * 4);
  if (call(handle, INQ, &request, &answer, code, reason) && *code != MQCC_FAILED) {
    size_t length;
    unsigned char *data = take_block(&answer, &length);
    memcpy(number_values, data, length < (size_t)numbers * 4 ? length : (size_t)numbers * 4);
    data = take_block(&answer, &length);
    if (text_size) memset(text, ' ', (size_t)text_size);
    if (text_size) memcpy(text, data, length < (size_t)text_size ? length : (size_t)text_size);
  }
  release(&answer);
}

/* ---- what the bridge must not use: refused, never imitated ---- */

void MQENTRY MQBEGIN(MQHCONN c, PMQVOID options, PMQLONG code, PMQLONG reason) {
  (void)c, (void)options;
  result(code, reason, MQRC_ENVIRONMENT_ERROR);
}
void MQENTRY MQSET(MQHCONN c, MQHOBJ o, MQLONG n, PMQLONG s, MQLONG i, PMQLONG v, MQLONG l, PMQCHAR t, PMQLONG code,
                   PMQLONG reason) {
  (void)c, (void)o, (void)n, (void)s, (void)i, (void)v, (void)l, (void)t;
  result(code, reason, MQRC_FUNCTION_NOT_SUPPORTED);
}
void MQENTRY MQSTAT(MQHCONN c, MQLONG type, PMQVOID status, PMQLONG code, PMQLONG reason) {
  (void)c, (void)type, (void)status;
  result(code, reason, MQRC_FUNCTION_NOT_SUPPORTED);
}
void MQENTRY MQCB(MQHCONN c, MQLONG op, PMQVOID d, MQHOBJ o, PMQVOID md, PMQVOID gmo, PMQLONG code, PMQLONG reason) {
  (void)c, (void)op, (void)d, (void)o, (void)md, (void)gmo;
  result(code, reason, MQRC_FUNCTION_NOT_SUPPORTED);
}
void MQENTRY MQCTL(MQHCONN c, MQLONG op, PMQVOID options, PMQLONG code, PMQLONG reason) {
  (void)c, (void)op, (void)options;
  result(code, reason, MQRC_FUNCTION_NOT_SUPPORTED);
}
void MQENTRY MQSUB(MQHCONN c, PMQVOID sd, PMQHOBJ o, PMQHOBJ s, PMQLONG code, PMQLONG reason) {
  (void)c, (void)sd, (void)o, (void)s;
  result(code, reason, MQRC_FUNCTION_NOT_SUPPORTED);
}
void MQENTRY MQSUBRQ(MQHCONN c, MQHOBJ s, MQLONG action, PMQVOID sro, PMQLONG code, PMQLONG reason) {
  (void)c, (void)s, (void)action, (void)sro;
  result(code, reason, MQRC_FUNCTION_NOT_SUPPORTED);
}
/* ibmmq 2.1.9 calls it without the name, so its pointers are not where they should be: nothing is written. */
void MQENTRY MQDLTMP(MQHCONN c, MQHMSG m, PMQVOID options, PMQVOID name, PMQLONG code, PMQLONG reason) {
  (void)c, (void)m, (void)options, (void)name, (void)code, (void)reason;
}
void MQCALLBACK(void) {}
