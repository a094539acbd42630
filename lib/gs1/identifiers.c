#include "gs1/identifiers.h"

#include <string.h>

#define DIGITS(name, count)                                                                        \
    {                                                                                              \
        .ai = name, .digits = count, .numeric = true                                               \
    }
#define CHECKED(name, count)                                                                       \
    {                                                                                              \
        .ai = name, .digits = count, .numeric = true, .checked = true                              \
    }
#define NUMBER(name, before, most_digits)                                                          \
    {                                                                                              \
        .ai = name, .digits = before, .least = 1, .most = most_digits, .numeric = true             \
    }
#define TEXT(name, before, most_characters)                                                        \
    {                                                                                              \
        .ai = name, .digits = before, .least = 1, .most = most_characters                          \
    }
#define MAYBE(name, before, most_characters)                                                       \
    {                                                                                              \
        .ai = name, .digits = before, .most = most_characters                                      \
    }

static const struct gs1_identifier identifiers[] = {
    CHECKED("00", 18),
    CHECKED("01", 14),
    CHECKED("02", 14),
    CHECKED("03", 14),
    TEXT("10", 0, 20),
    DIGITS("11", 6),
    DIGITS("12", 6),
    DIGITS("13", 6),
    DIGITS("15", 6),
    DIGITS("16", 6),
    DIGITS("17", 6),
    DIGITS("20", 2),
    TEXT("21", 0, 20),
    TEXT("22", 0, 20),
    TEXT("235", 0, 28),
    TEXT("240", 0, 30),
    TEXT("241", 0, 30),
    NUMBER("242", 0, 6),
    TEXT("243", 0, 20),
    TEXT("250", 0, 30),
    TEXT("251", 0, 30),
    MAYBE("253", 13, 17),
    TEXT("254", 0, 20),
    {.ai = "255", .digits = 13, .most = 12, .numeric = true},
    NUMBER("30", 0, 8),
    DIGITS("31nn", 6),
    DIGITS("32nn", 6),
    DIGITS("33nn", 6),
    DIGITS("34nn", 6),
    DIGITS("35nn", 6),
    DIGITS("36nn", 6),
    NUMBER("37", 0, 8),
    NUMBER("390n", 0, 15),
    NUMBER("391n", 3, 15),
    NUMBER("392n", 0, 15),
    NUMBER("393n", 3, 15),
    DIGITS("394n", 4),
    DIGITS("395n", 6),
    TEXT("400", 0, 30),
    TEXT("401", 0, 30),
    CHECKED("402", 17),
    TEXT("403", 0, 30),
    CHECKED("410", 13),
    CHECKED("411", 13),
    CHECKED("412", 13),
    CHECKED("413", 13),
    CHECKED("414", 13),
    CHECKED("415", 13),
    CHECKED("416", 13),
    CHECKED("417", 13),
    TEXT("420", 0, 20),
    TEXT("421", 3, 9),
    DIGITS("422", 3),
    {.ai = "423", .digits = 3, .most = 12, .numeric = true},
    DIGITS("424", 3),
    {.ai = "425", .digits = 3, .most = 12, .numeric = true},
    DIGITS("426", 3),
    TEXT("427", 0, 3),
    DIGITS("7001", 13),
    TEXT("7002", 0, 30),
    DIGITS("7003", 10),
    NUMBER("7004", 0, 4),
    TEXT("7005", 0, 12),
    DIGITS("7006", 6),
    {.ai = "7007", .digits = 6, .most = 6, .numeric = true},
    TEXT("7008", 0, 3),
    TEXT("7009", 0, 10),
    TEXT("7010", 0, 2),
    {.ai = "7011", .digits = 6, .most = 4, .numeric = true},
    TEXT("7020", 0, 20),
    TEXT("7021", 0, 20),
    TEXT("7022", 0, 20),
    TEXT("7023", 0, 30),
    TEXT("703n", 3, 27),
    {.ai = "7040", .digits = 1, .least = 3, .most = 3},
    TEXT("710", 0, 20),
    TEXT("711", 0, 20),
    TEXT("712", 0, 20),
    TEXT("713", 0, 20),
    TEXT("714", 0, 20),
    TEXT("715", 0, 20),
    TEXT("716", 0, 20),
    TEXT("717", 0, 20),
    {.ai = "723n", .least = 3, .most = 30},
    TEXT("7240", 0, 20),
    DIGITS("8001", 14),
    TEXT("8002", 0, 20),
    MAYBE("8003", 14, 16),
    TEXT("8004", 0, 30),
    DIGITS("8005", 6),
    DIGITS("8006", 18),
    TEXT("8007", 0, 34),
    {.ai = "8008", .digits = 8, .most = 4, .numeric = true},
    TEXT("8009", 0, 50),
    TEXT("8010", 0, 30),
    NUMBER("8011", 0, 12),
    TEXT("8012", 0, 20),
    TEXT("8013", 0, 25),
    CHECKED("8017", 18),
    CHECKED("8018", 18),
    NUMBER("8019", 0, 10),
    TEXT("8020", 0, 25),
    DIGITS("8026", 18),
    TEXT("8110", 0, 70),
    DIGITS("8111", 4),
    TEXT("8112", 0, 70),
    TEXT("8200", 0, 70),
    TEXT("90", 0, 30),
    TEXT("91", 0, 90),
    TEXT("92", 0, 90),
    TEXT("93", 0, 90),
    TEXT("94", 0, 90),
    TEXT("95", 0, 90),
    TEXT("96", 0, 90),
    TEXT("97", 0, 90),
    TEXT("98", 0, 90),
    TEXT("99", 0, 90),
};

static bool begins(const char *ai, const char *text, size_t len)
{
    size_t i = 0;

    for (; ai[i]; i++)
        if (i == len || text[i] < '0' || text[i] > '9' || (ai[i] != 'n' && ai[i] != text[i]))
            return false;
    return true;
}

const struct gs1_identifier *gs1_identifier_find(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof identifiers / sizeof *identifiers; i++)
        if (begins(identifiers[i].ai, text, len))
            return &identifiers[i];
    return NULL;
}

bool gs1_identifier_is_predefined(const char *ai)
{
    static const char families[][3] = {"00", "01", "02", "03", "04", "11", "12", "13",
                                       "14", "15", "16", "17", "18", "19", "20", "31",
                                       "32", "33", "34", "35", "36", "41"};

    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strncmp(families[i], ai, 2) == 0)
            return true;
    return false;
}
