// SPDX-License-Identifier: AGPL-3.0-or-later
// JavaMail as a client: STARTTLS, LIST, read, flag, append, move, expunge, quota. Prints one line a finding.
import java.util.Properties;
import javax.mail.*;
import javax.mail.internet.MimeMessage;
import com.sun.mail.imap.*;

public class Reader {
    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("mail.imap.starttls.required", "true");
        settings.put("mail.imap.starttls.enable", "true");
        settings.put("mail.imap.ssl.trust", "localhost");
        settings.put("mail.imap.compress.enable", args[3]);
        settings.put("mail.imap.auth.mechanisms", "PLAIN");
        Session session = Session.getInstance(settings);
        IMAPStore store = (IMAPStore) session.getStore("imap");
        store.connect("localhost", Integer.parseInt(args[0]), args[1], args[2]);
        for (Folder one : store.getDefaultFolder().list("*")) {
            System.out.println("folder " + one.getFullName());
        }
        IMAPFolder inbox = (IMAPFolder) store.getFolder("INBOX");
        inbox.open(Folder.READ_WRITE);
        Message[] all = inbox.getMessages();
        FetchProfile profile = new FetchProfile();
        profile.add(FetchProfile.Item.ENVELOPE);
        profile.add(FetchProfile.Item.FLAGS);
        profile.add(FetchProfile.Item.CONTENT_INFO);
        profile.add(UIDFolder.FetchProfileItem.UID);
        inbox.fetch(all, profile);
        for (Message one : all) {
            System.out.println("message " + inbox.getUID(one) + " " + one.getSubject() + " " + one.getContentType());
        }
        System.out.println("body " + ((String) all[0].getContent()).trim());
        all[1].setFlag(Flags.Flag.FLAGGED, true);
        inbox.moveUIDMessages(new Message[] {all[2]}, store.getFolder("Nháp"));
        MimeMessage made = new MimeMessage(session);
        made.setSubject("từ Java", "utf-8");
        made.setText("xin chào", "utf-8");
        inbox.appendMessages(new Message[] {made});
        all[0].setFlag(Flags.Flag.DELETED, true);
        inbox.expunge();
        System.out.println("left " + inbox.getMessageCount());
        System.out.println("rights " + inbox.myRights());
        inbox.close(false);
        store.close();
    }
}
