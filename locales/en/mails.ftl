# What stands in mails. $newsroom is the newsroom's name, $wanted what a subscription asks for.

wanted-everything = everything
often =
    { $every ->
        [instant] Each new article comes as a mail of its own.
        [weekly] What is new comes in one mail a week: { $days }, { $hour } ({ $zone }).
        [days] What is new comes in one mail a day: { $days }, { $hour } ({ $zone }).
       *[daily] What is new comes in one mail a day, at { $hour } ({ $zone }).
    }
test-subject = Test: { $subject }
labelled = { $label }: { $link }

mail-read = Read it
mail-rest = The rest of it
mail-print = Print view
mail-why = You get this mail because this address is subscribed to { $newsroom } ({ $wanted }).
mail-unsubscribe = Unsubscribe
mail-unsubscribe-or-change = Unsubscribe, or change what you get
mail-change = Change what you get: by the same link.

digest-subject =
    { $newsroom }: { $title }{ $others ->
        [0] {""}
        [one] {" "}and { $others } more
       *[other] {" "}and { $others } more
    }
digest-fold =
    There was more news in a day than the { $count ->
        [one] one mail that comes by itself.
       *[other] { $count } mails that come one by one.
    } Here is the rest in one mail.
digest-more = And { $count } more

correction-subject = Correction: { $title }
correction-what = What { $newsroom } sent you before was not right. This is.

confirmation-subject = { $newsroom }: please confirm your subscription
confirmation-asked =
    Somebody, most likely you, asked { $newsroom } to mail its new articles to { $address }: { $wanted }.
confirmation-how = To confirm, open this page and press the button on it:
confirmation-link = Confirm the subscription
confirmation-lasts =
    { $days ->
        [one] The link works for { $days } day.
       *[other] The link works for { $days } days.
    }
confirmation-not-you = If it was not you, do nothing: without your confirmation nothing changes.
confirmation-never = Never ask me again

farewell-subject = { $newsroom }: you are unsubscribed
farewell-what = { $address } gets no more mails from { $newsroom } about: { $wanted }.
farewell-was-you = Was it you? Then there is nothing to do.
farewell-not-you =
    If it was not, perhaps because a mail was passed on with its link in it, you can take it back until { $until }:
farewell-undo = Take it back
farewell-erased = After that day this is erased, and the address with it if it gets nothing else.

link-subject = { $newsroom }: the link to your preferences
link-what = Here you see and change what { $newsroom } mails to { $address }:
link-open = Open my preferences
link-lasts =
    { $hours ->
        [one] The link works for { $hours } hour.
       *[other] The link works for { $hours } hours.
    } Whoever has it can change your subscriptions: do not pass it on.
link-not-you = If it was not you who asked for it, do nothing.
