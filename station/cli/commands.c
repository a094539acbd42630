/* The command table. */
#include "station/cli/cli.h"

static const struct cli_option no_options[] = {{NULL, NULL, NULL}};

/* Every command that writes takes it. */
#define BY                                                                                         \
    {                                                                                              \
        "by", "NAME", "who works: stands in the ledger beside the system's user"                   \
    }

static const struct cli_option init_options[] = {
    {"file", "FILE", "YAML: the answers to what follows, see imprint-ceremony(5)"},
    {"name", "NAME", "the station's name, as its certificate will say it"},
    {"environment", "NAME", "development, staging or production; never mixed"},
    {"origin", "NAME", "name of the manifest log, such as acme.example/wl/line1"},
    {"customer", "NAME", "for whom the manifests are"},
    {"organization", "NAME", "organization in the names of the authorities"},
    {"root", "WORD", "own (default); or company: another CA certifies the issuing CA"},
    {"order-signers", "FILE", "PEM: certificates of those who may sign work orders"},
    {"custodians", "FILE", "PEM: certificates of those who will sign the transcript"},
    {"pin-file", "FILE", "mode 0600, the PIN of the token; without it, ask"},
    {"so-pin-file", "FILE", "mode 0600, the security officer's PIN; without it, ask"},
    {"module", "FILE", "the PKCS#11 module; default: SoftHSM, in the station's directory"},
    {"module-arguments", "TEXT", "what the module wants said when it starts (NSS: its database)"},
    {"token", "LABEL", "label or pkcs11: URI of the token; default: the station's name"},
    {"ca-algorithm", "NAME", "keys of root and issuing CA: p256, p384, rsa3072-pss, ed25519, ..."},
    {"ca-module", "FILE", "PKCS#11 module of a token that has the CA's keys alone, such as a TPM"},
    {"ca-module-arguments", "TEXT", "what that module wants said when it starts"},
    {"ca-token", "LABEL", "label or pkcs11: URI of that token"},
    {"ca-pin-file", "FILE", "mode 0600, the PIN of that token; without it, ask"},
    {"counter", "INDEX", "NV index of a TPM 2.0 for a counter against copies; default: none"},
    {"tpm", "TCTI", "where that TPM is; default: device:/dev/tpmrm0"},
    BY,
    {NULL, NULL, NULL}};

static const struct cli_option outbox_options[] = {
    {"send", NULL, "send what is there now, without a line, until the program takes one not"},
    {NULL, NULL, NULL}};

static const struct cli_option generate_options[] = {
    {"count", "N", "make N more credentials"},
    {"up-to", "N", "make as many as are missing until the order has N"},
    BY,
    {"threads", "N", "threads that use the HSM, 1 to 16; default: 2, or 1 on one processor"},
    {NULL, NULL, NULL}};

static const struct cli_option profile_options[] = {
    {"issuer", "FILE", "check: the issuing CA's certificate, whose name counts in the size"},
    {"out", "DIR", "sample: write root.pem, issuing.pem, device.pem, device.key there"},
    {"key", "TYPE", "the device's key: " KEY_TYPE_NAMES},
    {"ca-algorithm", "NAME", "the keys above it: p256, p384, ed25519, rsa3072-pss, ..."},
    {"issued", "TIME", "the time of issue, such as 2026-01-31T00:00:00Z; default: now"},
    {"serial", "TEXT", "value of {serial}; each has a default"},
    {"chip-id", "TEXT", "value of {chip_id}"},
    {"udi", "TEXT", "value of {udi}"},
    {"product", "TEXT", "value of {product}"},
    {"order", "TEXT", "value of {order}"},
    {"environment", "TEXT", "value of {environment}"},
    {"organization", "TEXT", "value of {organization}"},
    {"hardware-type", "OID", "value of {hardware_type}"},
    {"vendor-id", "TEXT", "value of {vendor_id}"},
    {"product-id", "TEXT", "value of {product_id}"},
    {NULL, NULL, NULL}};

#define REASON                                                                                     \
    {                                                                                              \
        "reason", "TEXT", "why: stands in the ledger"                                              \
    }

/* Where people sign (vault/signing.h). */
#define SIGNER                                                                                     \
    {                                                                                              \
        "signer", "FILE", "mode 0600: badge and, below it, PIN of who signs; without it, ask"      \
    }

static const struct cli_option csr_options[] = {
    {"count", "N", "export: requests that the lot is to have; what it lacks is made"},
    {"lot", "NAME", "export: the lot's name, yours to choose; list, drop: this lot"},
    {"out", "PATH", "export: where the requests are written; nothing may be there"},
    {"form", "FORM", "export: dir (default), tar or csv"},
    BY,
    REASON,
    SIGNER,
    {NULL, NULL, NULL}};

static const struct cli_option order_options[] = {BY, REASON, SIGNER, {NULL, NULL, NULL}};

static const struct cli_option people_options[] = {
    {"role", "NAME", "add: operator, supervisor or engineer"},
    {"new", "FILE", "mode 0600: the new badge and, below it, the new PIN; without it, ask"},
    BY,
    REASON,
    SIGNER,
    {NULL, NULL, NULL}};

static const struct cli_option void_options[] = {
    BY,
    REASON,
    SIGNER,
    {"lost", NULL, "the device that has it will not come back"},
    {"product", "NAME", "the product, where several have the serial"},
    {"reason-code", "NAME", "of a revocation, by RFC 5280; default: cessationOfOperation"},
    {NULL, NULL, NULL}};

static const struct cli_option seal_options[] = {
    BY,
    {"compress", NULL, "the files of records and evidence as .zst (zstd), a third of the size"},
    {"export", "FORMAT", "then export it: a format of 'imprint-manifest formats'"},
    {"set", "SETTING", "NAME=VALUE, a setting of the format; any number of times"},
    {"recipient", "FILE", "for formats of secret keys: certificates of who may open them"},
    {"manifest", "N", "export manifest N instead of the last one"},
    {NULL, NULL, NULL}};

static const struct cli_option rework_options[] = {
    BY,
    REASON,
    SIGNER,
    {"product", "NAME", "the product, where several have the serial"},
    {"reason-code", "NAME", "of the revocation, by RFC 5280; default: superseded"},
    {NULL, NULL, NULL}};

static const struct cli_option run_options[] = {
    BY,
    {"once", NULL, "one device in each slot that is there now, then end"},
    {"lines", NULL, "lines instead of the board, also on a terminal"},
    {"scan", "SLOT SERIAL", "the label of one unit, in one argument, instead of reading labels"},
    {NULL, NULL, NULL}};

static const struct cli_option decommission_options[] = {
    BY, REASON, {"statements", "DIR", "the folder with what the owner signed"}, {NULL, NULL, NULL}};

static const struct cli_option slots_options[] = {BY, REASON, SIGNER, {NULL, NULL, NULL}};

static const struct cli_option by_options[] = {BY, {NULL, NULL, NULL}};

static const struct cli_option crl_options[] = {
    BY,
    {"days", "N", "days until the next list is due, 1 to 3650; default: 30"},
    {NULL, NULL, NULL}};

static const struct cli_option ca_options[] = {
    BY,
    REASON,
    SIGNER,
    {"name", "TEXT", "common name of the CA; default: the station's, 'issuing CA', a number"},
    {"again", "N", "request: another request for CA N, which waits for its certificate"},
    {"profile", "PROFILE", "a profile of a CA, such as matter-pai; default: the station's own"},
    {"organization", "TEXT", "value of {organization}; default: the station's"},
    {"vendor-id", "TEXT", "value of {vendor_id}"},
    {"product-id", "TEXT", "value of {product_id}"},
    {"hosted", NULL, "import: a CA that somebody else runs signs device certificates itself"},
    {"self-signed", NULL, "create: a CA that is its own root, devices directly below it"},
    {"days", "N", "destroy: days that its last revocation list holds; default: 3650"},
    {NULL, NULL, NULL}};

static const struct cli_option rotate_options[] = {
    BY,
    REASON,
    SIGNER,
    {"algorithm", "NAME",
     "second-key: ecdsa-p384 or rsa-pss-3072; default: that of the key before"},
    {NULL, NULL, NULL}};

static const struct cli_option recover_options[] = {
    BY,
    REASON,
    SIGNER,
    {"backup", "DIR", "restore from this folder of 'imprint backup'"},
    {"counter", "INDEX", "make a counter at this NV index in the place of one that is gone"},
    {NULL, NULL, NULL}};

static const struct cli_option ledger_options[] = {
    {"last", "N", "show: only the last N entries"},
    {"event", "NAME", "show: only entries of this event"},
    {"serial", "TEXT", "show: only entries about this serial"},
    {"from", "N", "export: begin with entry N; default: 1"},
    {NULL, NULL, NULL}};

static const struct cli_option conform_options[] = {
    {"authority-key", "FILE", "PEM: the private key of the authority that the firmware pins"},
    {"station-key", "FILE", "PEM: the key of a station that the authority certified, instead"},
    {"station-cert", "FILE", "and its certificate, as imprint-authority writes it"},
    {"baud", "N", "bits a second of a serial port; default: 115200"},
    {"timeout", "MS", "how long the device may take for an answer; default: 3000"},
    {"replace", NULL, "the device's identity may be replaced, an open transaction ended"},
    {"lock", NULL, "also LOCK, for ever where the firmware has no DECOMMISSION"},
    {"restart", "COMMAND", "turns the device off and on: also what it keeps without power"},
    {"case", "NAMES", "only these cases, joined by commas"},
    {"list", NULL, "list the cases, without a device"},
    {"hex", NULL, "in words: what was sent and what came, also where a case passed"},
    {NULL, NULL, NULL}};

static const struct cli_option report_options[] = {
    {"from", "TIME", "shift: from this time on, such as 2026-01-31T06:00:00Z"},
    {"to", "TIME", "shift: until before this time; default: now"},
    {"last", "TIME", "shift: so long until now, such as 90m, 8h or 7d; default: 8h"},
    {"product", "NAME", "unit: the product, where several have the serial"},
    {"html", "FILE", "write it as a page that needs nothing else, with plots"},
    {"verify", NULL, "also verify every MAC, with the token and its PIN"},
    {NULL, NULL, NULL}};

static const struct cli_option verify_options[] = {
    {"manifests", "DIR", "the manifests; default: those of the station"},
    {"trust", "DIR", "the pins to verify them with; default: the station's 'trust'"},
    {"state", "FILE", "what 'imprint-manifest accept' keeps, not verified again"},
    {"label", "TEXT", "the serial or code on the unit's label, to be compared"},
    {"scan", NULL, "read the label from the standard input, as a scanner types it"},
    {"baud", "N", "bits a second of a serial port; default: 115200"},
    {"timeout", "MS", "how long the device may take for an answer, three times; default: 1500"},
    {NULL, NULL, NULL}};

const struct cli_command cli_commands[] = {
    {"init", "", "create a station: token, keys, authorities, database",
     "Creates the station in its directory: initialises a token, makes the long-lived keys in it,\n"
     "a device root, an issuing CA, a manifest root and signer, and the database. It never\n"
     "overwrites a station. Asks at the terminal for what neither options nor the file of --file\n"
     "say. Afterwards let the owner's authority certify 'station-auth.pub' and put the answer\n"
     "beside it as 'station.cert'; the owner writes orders for what 'station.json' says.",
     init_options, 0, 0, 0, cmd_init},
    {"order", "add FILE|list|show ID|close ID", "take in, show or close the owner's work orders",
     "'add' takes in an order or an amendment that the owner signed: only what the station has "
     "may\n"
     "be made. 'list' and 'show' tell what is in force, what this station may still make, and "
     "what\n"
     "the owner should hear of; they need no PIN. 'close' ends an order for ever: it scraps what "
     "is\n"
     "unused, seals, destroys the order's storage key and signs what became of every certificate.\n"
     "It needs --by and --reason, and that no device is unresolved; stopped anywhere, the same\n"
     "command goes on.",
     order_options, NEED_CONFIG, 1, 2, cmd_order},
    {"generate", "JOB", "make keys and certificates in the HSM, ahead of time",
     "Makes credentials for a job: keys are made in the HSM, leave it only wrapped, and get their\n"
     "certificates at once; where serials are known only when a device is in its slot, keys "
     "alone.\n"
     "Ctrl-C stops after the batch at hand, and what was made is kept: the\n"
     "same command with --up-to makes the rest. One of --count and --up-to is needed.",
     generate_options, NEED_CONFIG | NEED_JOB | NEED_STORE_WRITE | NEED_HSM, 1, 1, cmd_generate},
    {"csr", "export JOB|import JOB PATH...|list JOB|drop JOB [SERIAL...]",
     "let a hosted CA sign device certificates",
     "For orders that name a hosted CA. 'export' makes keys in the HSM and writes one PKCS#10 "
     "request\n"
     "for each, PEM files in a folder or a tar, or a CSV; run again it makes what the lot still\n"
     "lacks, and writes those that wait. 'import' takes what the CA sent back, in any order and "
     "any\n"
     "number of pieces: PEM, DER, PKCS#7, CSV, in files, folders and tars. Each certificate is "
     "found\n"
     "by its key and judged by profile and chain; what is wrong is listed and all else is taken.\n"
     "'list' names the serials that still wait. 'drop' destroys the keys of those that the CA "
     "will\n"
     "never answer, by serial or with --lot, and gives their places in the order back; it needs\n"
     "--reason and, where people sign, a supervisor.",
     csr_options, NEED_CONFIG, 1, 1000, cmd_csr},
    {"run", "JOB", "provision the devices that are put into the slots",
     "Provisions each device that is put into a slot that a port rule of the job names, all\n"
     "slots at once, and shows the result until the device is taken out: on a board with a tile\n"
     "for each slot, or in lines where there is no terminal. It goes on until the order is\n"
     "fulfilled or somebody quits: F4 on the board; or, with lines, 'quit', 'pause', 'resume'\n"
     "and 'ack SLOT' with the Enter key, or Ctrl-C. What was begun is finished first. A device\n"
     "that was interrupted goes on with the same credential; one that is finished says PASS\n"
     "again and consumes nothing. With --once it ends when each slot that is there has passed or\n"
     "failed. Where the job's serials are scanned it first reads a line for each unit, its slot\n"
     "and its serial.",
     run_options, NEED_CONFIG | NEED_JOB, 1, 1, cmd_run},
    {"slots", "[list]|acknowledge LABEL|renew LABEL",
     "how the fixtures' slots do, and care for them",
     "'list' shows of each slot whether it is disabled, how many units were in it, and how many "
     "of\n"
     "the last 200 passed; it needs no PIN. 'acknowledge' lets a slot go on that failed too "
     "often,\n"
     "which operators do while the line runs: F3 on the board, the code ACK: and the slot's "
     "label,\n"
     "or 'ack LABEL'. 'renew' says that its contacts were renewed, and counts units from nothing.\n"
     "Both need --by and --reason; where people sign, a supervisor or an engineer does.",
     slots_options, NEED_CONFIG, 0, 2, cmd_slots},
    {"decommission", "JOB", "take the identities of devices away, as their owner signed",
     "Takes the identity off each device in the slots, locked or not, for which the owner signed: "
     "the\n"
     "whitelist gets a record, then the device forgets keys and objects and can be provisioned "
     "again.\n"
     "Needs --statements, a folder with NAME.sig for each serial; where one is missing, NAME.tbs "
     "is\n"
     "written there, the bytes to be signed with the order's decommission_key.",
     decommission_options, NEED_CONFIG | NEED_JOB, 1, 1, cmd_decommission},
    {"void", "SERIAL|TX", "end a credential: scrap, give up or revoke it",
     "Ends one credential, named by its serial or its transaction. What no device got is\n"
     "scrapped. What a device got and did not prove is burned, and only with --lost: a\n"
     "supervisor says that the device will not come back. What was proven is revoked. The\n"
     "whitelist tells of each. Needs --reason.",
     void_options, NEED_CONFIG | NEED_STORE_WRITE | NEED_HSM, 1, 1, cmd_void},
    {"rework", "SERIAL|TX", "allow a repaired unit another identity under its serial",
     "Revokes the identity of a unit whose board was exchanged or repaired, and allows that the\n"
     "next run gives it another under the same serial, by a label scanned for its slot. Draws on\n"
     "the order's 'rework'. Needs --by and --reason.",
     rework_options, NEED_CONFIG | NEED_STORE_WRITE | NEED_HSM, 1, 1, cmd_rework},
    {"reconcile", "[ORDER]", "show whether every credential is accounted for",
     "Adds up what became of each order's credentials, compares it with the ledger, and names "
     "every\n"
     "device that got a credential and did not prove it, with what to do about it. Needs no PIN. "
     "Exit\n"
     "status 38 while there is such a device.",
     no_options, NEED_CONFIG | NEED_STORE_READ, 0, 1, cmd_reconcile},
    {"status", "", "show how many credentials were made, proven and sealed",
     "Shows the counts of each order, the attempts, and how much is sealed. Needs no PIN.",
     no_options, NEED_CONFIG | NEED_STORE_READ, 0, 0, cmd_status},
    {"outbox", "", "show results that the plant's systems have not taken yet",
     "How many results wait for the program of 'hooks: outbox' in station.yaml, since when, and\n"
     "why the last one was not taken. A running line sends them by itself, the oldest first.",
     outbox_options, NEED_CONFIG, 0, 0, cmd_outbox},
    {"seal", "", "sign a manifest over all devices that were proven since the last one",
     "Writes and signs the next manifest. With nothing new it says so and changes nothing. A\n"
     "sealing that was interrupted is finished first, with the same bytes. With --export the last\n"
     "manifest, or that of --manifest, is then written for a platform into the folder 'exports'.",
     seal_options, NEED_CONFIG | NEED_STORE_WRITE | NEED_HSM, 0, 0, cmd_seal},
    {"receipt", "add FILE|show", "take in the owner's receipt for a manifest",
     "'add' takes in a receipt that the owner signed: it says which manifest was accepted last, "
     "which\n"
     "must be one of this station. 'show' tells which manifests have none yet, and needs no PIN. "
     "After\n"
     "a day without one, 'status', 'seal' and 'run' warn: a manifest that does not arrive is "
     "noticed.",
     by_options, NEED_CONFIG, 1, 2, cmd_receipt},
    {"rotate", "manifest-key|log-key|second-key", "change the key that signs manifests, or the log",
     "Makes a new key in the HSM and announces it in the whitelist, signed by the old key and the\n"
     "new; then seals. The manifest that announces it is the last one of the old key. Importers\n"
     "follow by themselves; whoever verifies single manifests or proofs pins the new key from "
     "then\n"
     "on. Needs --by and --reason; who and why stand in the whitelist, for 'second-key' in the\n"
     "ledger alone. 'second-key' makes, or changes, the key of a second signature over every\n"
     "manifest, with --algorithm, below a root of its own. Where people sign, an engineer does.",
     rotate_options, NEED_CONFIG | NEED_STORE_WRITE | NEED_HSM, 1, 1, cmd_rotate},
    {"ca", "list|request|import FILE|create|destroy N", "the issuing CAs: more of them, or others",
     "'request' makes a key for another issuing CA in the HSM, and a request that the company's\n"
     "CA certifies. 'import' takes the answer in: the CA's certificate and every one above it up\n"
     "to the root, in one PEM file, judged before it is accepted. 'create' lets the station's\n"
     "own root certify the new CA instead, or the CA itself. Orders list the CAs that may sign,\n"
     "and the newest of them does unless the job names another. 'destroy' makes the last\n"
     "revocation list of a CA and destroys its key, or with 'root' that of the station's root.\n"
     "'list' needs no PIN; all others need --by and --reason.",
     ca_options, NEED_CONFIG, 1, 2, cmd_ca},
    {"crl", "", "make the revocation lists of the issuing CAs",
     "Signs for each active issuing CA a list of its certificates that are burned or revoked,\n"
     "and writes it to 'crl/issuing-ca.crl', 'crl/issuing-ca-2.crl' and so on. From then on\n"
     "every command that ends an identity makes it anew: 'void', 'rework', 'decommission',\n"
     "'seal' and 'order close'. It ends with the issuing CA; what devices point to for ever is\n"
     "the owner's list of 'imprint-manifest crl'.",
     crl_options, NEED_CONFIG | NEED_STORE_WRITE | NEED_HSM, 0, 0, cmd_crl},
    {"people", "list|add NAME|remove NAME|pin [NAME]", "who signs at this station",
     "Once there are people, 'void', 'rework', 'order close', 'rotate', 'ca', 'recover' and\n"
     "changes of people are signed with badge and PIN: name, role, time and meaning stand in the\n"
     "ledger. The first is a supervisor, whom whoever has the token's PIN adds with --by and\n"
     "--reason; supervisors add and remove the others, and give a new PIN to who forgot his.\n"
     "'pin' alone changes one's own. 'list' needs no PIN.",
     people_options, NEED_CONFIG, 1, 2, cmd_people},
    {"backup", "DIR", "copy the station, also while it runs",
     "Copies database, configuration, certificates and pins into the new folder DIR, and lists "
     "them\n"
     "in its backup.json. The token and the PIN are not in it. Works beside every other command.",
     no_options, NEED_CONFIG | NEED_STORE_READ, 1, 1, cmd_backup},
    {"recover", "TICKET", "confirm the clock, restore a backup or replace the counter, with leave",
     "Does what a recovery ticket allows, once: lets a station go on whose clock was wrong, or, "
     "with\n"
     "--backup, puts a backup in the place of a database that is missing, damaged or older, and\n"
     "burns the credentials that may have been given out since; killed on the way, the same "
     "command\n"
     "goes on. Or, with --counter, makes a counter in the TPM in the place of one that is gone.",
     recover_options, NEED_CONFIG, 1, 1, cmd_recover},
    {"devices", "JOB", "list the serial ports and the slot that the job gives each",
     "Lists every serial port of the machine with the slot that the job gives it. A port that no\n"
     "rule names is never opened.",
     no_options, NEED_JOB, 1, 1, cmd_devices},
    {"ledger", "verify|show|export DIR", "verify, show or export what the station recorded",
     "'verify' checks the hash chain and the HSM's MAC of every entry, and the counts of the\n"
     "database against it. 'show' prints the entries, one line of JSON each, and needs no PIN.\n"
     "'export' verifies them and writes them, signed, into the new folder DIR, for whoever audits\n"
     "the station with 'imprint-manifest verify-ledger' elsewhere.",
     ledger_options, NEED_CONFIG, 1, 2, cmd_ledger},
    {"audit", "", "compare the token with the policy and with its ceremony",
     "Compares every key on the token with the policy, attribute by attribute, tells keys that "
     "are\n"
     "missing or that the station did not make, and what the token does not enforce; then the\n"
     "transcript of the ceremony with the ledger, the keys and the certificates, and who signed\n"
     "it. Changes nothing, and does not stop at the first difference.",
     no_options, NEED_CONFIG | NEED_STORE_READ, 0, 0, cmd_audit},
    {"profile", "list|check PROFILE|sample PROFILE", "explain the profiles of certificates",
     "'list' names the profiles that come with the program, with the hash that an order fixes.\n"
     "'check' reads a profile, shipped or a file that ends in .yaml, and tells its hash, what a\n"
     "certificate will look like, its size, and which platforms would refuse it and why. 'sample'\n"
     "issues one under throw-away keys. Needs no station.",
     profile_options, 0, 1, 2, cmd_profile},
    {"conform", "PORT", "judge a device by the specification of the link",
     "Tries one thing after the other that docs/device-link.md requires of the device at PORT, a\n"
     "serial port, 'usb:1209:0001', 'usb_path:1-2.3', 'tcp:HOST:PORT' or 'unix:/PATH', and says\n"
     "for each what the page requires and whether the device does it; where not, what was sent\n"
     "and what came. It gives the device identities that nobody knows, and takes the last one\n"
     "away if the firmware has DECOMMISSION. A device that pins an authority believes only a\n"
     "station of it. Needs no station, HSM or PIN. Exit status 20 when a case failed, 21 when\n"
     "cases were skipped for want of a key or because the device has an identity.",
     conform_options, 0, 0, 1, cmd_conform},
    {"report", "unit SERIAL|lot NAME|shift", "tell what became of a unit, a lot or a shift",
     "Who, when, in which slot, after how many attempts, with which firmware, certificate and "
     "build\n"
     "of the station; of a lot, which is an order's id or the lot of a UDI, and of a shift also\n"
     "yield by slot, reasons of failure and pace. With --html as one page with plots that needs "
     "no\n"
     "station, script or network to be read. Reads only; needs no PIN, and then says that MACs "
     "were\n"
     "not verified.",
     report_options, NEED_CONFIG, 1, 2, cmd_report},
    {"verify", "PORT", "is this device genuine and whitelisted? for QA and returns",
     "Asks the device at PORT, a serial port, 'usb:1209:0001', 'usb_path:1-2.3', 'tcp:HOST:PORT' "
     "or\n"
     "'unix:/PATH', to prove over a fresh random number that it holds the key of its certificate,\n"
     "and looks it up in the whitelist: in the manifests of the station, verified again, or in "
     "what\n"
     "an importer accepted. Needs no station, HSM or PIN, and changes neither a locked device nor\n"
     "anything else. Exit status 0: genuine and whitelisted; 23: not genuine; 33 held, 34 "
     "revoked,\n"
     "35 replaced, 36 unknown; 40: the label is another's; 21: a symmetric key, which only its\n"
     "owner can verify.",
     verify_options, 0, 1, 1, cmd_verify},
    {"help", "[COMMAND]", "list the commands, or explain one",
     "Lists the commands, or explains one.", no_options, 0, 0, 1, cmd_help},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL}};
