"""What can be wrong with one member or parameter: the ``code`` of an entry of a problem's ``errors``, and what it means.

The published document lists these codes and no others, and a page explains them, so every code that is used stands here.
"""

FIELD_ERRORS = {
    "duplicate": "It is there already: an item of an array, or a parameter given twice that may be given once.",
    "invalid_characters": "It holds characters that cannot be there: control characters, half of a surrogate pair, or, in a "
    "tag, a comma.",
    "invalid_choice": "It is none of the words that are possible here; `detail` lists them.",
    "invalid_format": "It is a string, but not written as it has to be: an e-mail address, a colour.",
    "invalid_type": "It is of another type: no string, whole number, array or object where there has to be one. Or it is a "
    "string that is no day, time, instant or UUID.",
    "invalid_value": "Its type is right, and the value is one that cannot be, such as the nil UUID as an id.",
    "list_of_parent": "A subtask is in the list of its parent. Move the parent, and its subtasks follow.",
    "not_nullable": "It cannot be `null`. Leave the member out to keep its value.",
    "out_of_range": "It is too small or too large; `detail` names the limit.",
    "read_only": "It may be sent back as it is, but not with another value.",
    "required": "It is missing, and has to be there, perhaps because of another member that is.",
    "too_common": "The password is easy to guess: a common one, or made of the address or the name.",
    "too_deep": "A subtask cannot have subtasks, and a task cannot be its own parent.",
    "too_few": "It has too few items; `detail` names how many it has to have.",
    "too_long": "It has too many characters; `detail` names how many it may have.",
    "too_many": "There are too many items, keys, or repetitions of a parameter; `detail` names how many there may be.",
    "too_short": "It has too few characters, or none that can be seen; `detail` says what it has to have.",
    "unexpected_body": "The request has a body, and the operation takes none. Send it without one.",
    "unknown_list": "You have no list with this id, or it cannot be named here.",
    "unknown_member": "No member or parameter of this name is known here. Check the spelling; case counts.",
    "unknown_task": "You have no task with this id, or it cannot be named here: deleted, or in another list.",
    "unknown_timezone": "It is not the name of an IANA time zone, such as `Europe/Berlin`.",
}
