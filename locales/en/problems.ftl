# What went wrong, on pages: headings, a sentence for each, and what is said beside a field of a form.

heading-not-found = Not found
heading-gone = No longer here
heading-not-allowed = Not allowed
heading-too-large = Too large
heading-too-many = Too many at once
heading-not-now = Not now
heading-broken = Something broke
heading-failed = That did not work
there-is = There is:

problem-not-found = There is no page at this address.
problem-no-article = There is no article at this address.
problem-gone = What was here is gone.
problem-withdrawn = This article has been withdrawn by the newsroom that published it.
problem-not-allowed = This is not allowed.
problem-too-large = More was sent than can be taken.
problem-too-many = Too many ask at the moment; please try again later.
problem-not-now = This cannot be done now; please try again soon.
problem-broken = The server failed; its operator finds the reason in the log.
problem-failed = Please go back and try again.
problem-method = This address does not take that method.
problem-link-unknown = This link is not one of ours, or not all of it has come along.
problem-link-newer = A newer mail was sent after this one; please use the link in that.
problem-link-lapsed = This link has lapsed; please ask once more.
problem-link-ended = This subscription has ended since; please ask once more.
problem-link-anew = This subscription was asked for anew since; please use the link in that mail.
problem-press-button = Nothing was changed: please open the link of the mail and press the button there.

fault-address = “{ $found }” is not a mail address such as reader@example.org.
fault-address-missing = Please give a mail address such as reader@example.org.
fault-what = Please choose everything, or at least one category.
fault-category = There is no category “{ $found }” here.
fault-query = The query cannot be read from character { $at } on.
fault-cadence = Please choose how often.
fault-hour = Please choose an hour.
fault-days = Please choose days of the week.
fault-time-zone = “{ $found }” is not a time zone such as Europe/Berlin or Asia/Kolkata.
fault-language = Please choose one of the languages.
fault-sure = Please tick that you are sure.
fault-button = Please use the buttons of this page.
fault-too-many =
    { $count ->
        [one] An address has { $count } subscription at most.
       *[other] An address has { $count } subscriptions at most.
    }
fault-other = This is not right: “{ $found }”.
